//! A first version of a follow-up plan, as the guideline has it for a class of products: what a sponsor completes
//! and records. Every number and text names the place of the guideline that it is from; what the guideline leaves
//! to the sponsor is a blank, and a plan with a blank is refused when it is recorded.

use super::follow_up::{
    period::Floor,
    plan::{Parameter, Parameters},
};
use crate::pb::{
    self, PlannedSlot, ProductClass, SamplePurpose, SlotKind, VisitMode, record::Kind,
};

/// What stands where the sponsor has to write a word. No field that may be blank takes it.
pub const BLANK: &str = "<fill in>";

/// What stands where the sponsor has to give a number.
pub const BLANK_NUMBER: u32 = u32::MAX;

/// A plan to be completed.
#[derive(Debug, Clone)]
pub struct Template {
    /// The record, without an id.
    pub record: pb::Record,
    /// What the sponsor has to fill in, in the order of the record.
    pub blanks: Vec<Blank>,
}

/// Something that the sponsor has to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blank {
    /// The path of the field from the record down.
    pub path: String,
    /// What it is, and why the guideline does not say.
    pub what: &'static str,
}

/// How long the guideline has the patients of a class followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowUp {
    /// For so many months after the last administration.
    pub months: u32,
    /// Or until data show no risk any more, whichever is decided.
    pub until_no_risk: bool,
    /// Where the guideline says so.
    pub basis: &'static str,
}

/// The plan that the guideline asks for with a product of these classes; of several, the strictest wins.
pub fn plan(classes: &[ProductClass]) -> Template {
    let asks = Asks::of(classes);
    let plan = pb::FollowUpPlanVersion {
        plan_id: BLANK.to_owned(),
        version: "1".to_owned(),
        ordinal: 1,
        product_ids: vec![BLANK.to_owned()],
        protocol_ids: vec![BLANK.to_owned()],
        purpose: "Delayed adverse reactions, persistence of the product in the body, and its effect over \
                  time (A-04)."
            .to_owned(),
        population: "Everybody who received the product, in every phase and after approval, from the \
                     signature of the consent on (A-09, A-34, A-49)."
            .to_owned(),
        content: asks.content(),
        parameters: Some(asks.parameters()),
        slots: asks.slots(),
        methods: vec![pb::AssayMethodKey {
            method_id: BLANK.to_owned(),
            ..pb::AssayMethodKey::default()
        }],
        target_events: vec![blank_code()],
        tissues: asks.edited.then(blank_code).into_iter().collect(),
        linked_consent: Some(pb::ConsentVersionKey {
            family: BLANK.to_owned(),
            version: BLANK.to_owned(),
        }),
        justification: asks.justification(),
        ..pb::FollowUpPlanVersion::default()
    };
    Template {
        record: pb::Record {
            schema_version: 1,
            event_time: BLANK.to_owned(),
            site: BLANK.to_owned(),
            site_tz: BLANK.to_owned(),
            actor_person: BLANK.to_owned(),
            actor_role: pb::ActorRole::SponsorMed.into(),
            signature_meaning: pb::SignatureMeaning::Authorship.into(),
            source_kind: pb::SourceKind::Direct.into(),
            kind: Some(Kind::FollowUpPlanVersion(plan)),
            ..pb::Record::default()
        },
        blanks: asks.blanks(),
    }
}

/// How long the guideline has the patients of these classes followed; none where it names no period.
pub fn follow_up(classes: &[ProductClass]) -> Option<FollowUp> {
    let product = pb::ProductRegistered {
        product_classes: classes.iter().map(|class| (*class).into()).collect(),
        ..pb::ProductRegistered::default()
    };
    let Floor { months, is_firm } = Floor::of(&product);
    let any = |of: &[ProductClass]| classes.iter().any(|class| of.contains(class));
    let basis = if is_firm {
        "A-12, R-D3"
    } else if any(&EDITED) {
        "A-14, R-D3"
    } else if any(&[ProductClass::Herpes, ProductClass::Bacterial]) {
        "A-13, R-D3"
    } else {
        "A-15, R-D3"
    };
    Some(FollowUp {
        months: months?,
        until_no_risk: !is_firm,
        basis,
    })
}

/// The classes of gene editing.
const EDITED: [ProductClass; 2] = [
    ProductClass::GeneEditedInVivo,
    ProductClass::GeneEditedExVivo,
];

/// What the guideline asks of a set of classes.
#[derive(Debug, Clone, Copy)]
struct Asks {
    follow_up: Option<FollowUp>,
    /// Rules for integrating products hold, for gene-edited ones too.
    clonal: bool,
    /// Replication-competent virus is looked for.
    retroviral: bool,
    /// Off-target activity is looked for.
    edited: bool,
}

impl Asks {
    fn of(classes: &[ProductClass]) -> Self {
        let any = |of: &[ProductClass]| classes.iter().any(|class| of.contains(class));
        let retroviral = any(&[
            ProductClass::Lenti,
            ProductClass::Gammaretro,
            ProductClass::OtherRetro,
        ]);
        let edited = any(&EDITED);
        Self {
            follow_up: follow_up(classes),
            clonal: retroviral || edited || any(&[ProductClass::Transposon]),
            retroviral,
            edited,
        }
    }

    fn content(self) -> String {
        let mut content = vec![
            "In the first 60 months, at each visit: a brief history; b carcinogenic, mutagenic and other \
             drugs; c related adverse events; d new, recurrent or worse disease: malignancy, neurological, \
             immunogenic or autoimmune, infection, death; e physical and laboratory examination; f \
             pregnancy and births (A-28).",
            "After that, by phone or written questionnaire, at least once a year to the end (A-32).",
            "Samples where possible, by a validated and sensitive method, until data show no risk \
             (A-29, A-40).",
            "Pregnancies of patient and partner, and events in close contacts, are recorded (A-07, A-08).",
        ];
        if self.clonal {
            content.push(
                "Clonal growth: persistence at most every 6 months for 5 years, then at least yearly \
                 (A-39); above the expected share, clonality (A-41); a dominant clone is confirmed within 3 \
                 months, with its integration site (A-42, A-43); clonal growth or an oncogene nearby: every 3 \
                 months and watch for malignancy until the vector is undetectable (A-44).",
            );
        }
        if self.retroviral {
            content.push(
                "An event that replication-competent virus may have caused is tested for it (A-45).",
            );
        }
        if self.edited {
            content.push(
                "Off-target activity, related to on-target activity (A-46); after systemic delivery also in \
                 other tissues and organs (A-47).",
            );
        }
        content.join(" ")
    }

    fn parameters(self) -> pb::PlanParameters {
        let guideline = Parameters::default();
        let clonal = |number: Parameter<u32>| self.clonal.then_some(number.value);
        pb::PlanParameters {
            anchor: guideline.anchor.value.into(),
            follow_up_months: Some(self.follow_up.map_or(BLANK_NUMBER, |one| one.months)),
            until_no_risk: self.follow_up.map(|one| one.until_no_risk),
            intensive_months: Some(guideline.intensive_months.value),
            visit_interval_months: Some(BLANK_NUMBER),
            contact_interval_months: Some(guideline.contact_interval_months.value),
            sample_interval_months_first_years: clonal(
                guideline.sample_interval_months_first_years,
            ),
            sample_first_years_months: clonal(guideline.sample_first_years_months),
            sample_interval_months_after: clonal(guideline.sample_interval_months_after),
            clone_retest_months: clonal(guideline.clone_retest_months),
            intensified_interval_months: clonal(guideline.intensified_interval_months),
            undetectable_results: clonal(guideline.undetectable_results),
            expected_max_percent: if self.clonal { BLANK } else { "" }.to_owned(),
            rcl_test_days: self.retroviral.then_some(guideline.rcl_test_days.value),
            majority_months: Some(216),
            assent_months: Some(96),
            requirement_days: Some(60),
            signal_action_days: Some(BLANK_NUMBER),
            ..pb::PlanParameters::default()
        }
    }

    fn slots(self) -> Vec<PlannedSlot> {
        let mut slots = Vec::new();
        let sample = |slot: String, months| PlannedSlot {
            slot,
            kind: SlotKind::Sample.into(),
            months,
            purposes: vec![SamplePurpose::Persistence.into()],
            ..PlannedSlot::default()
        };
        let end = self.follow_up.map_or(0, |one| one.months);
        if self.clonal {
            // Six months for five years, then twelve.
            let first_years = (6..=60).step_by(6);
            for months in first_years.chain((72..=end).step_by(12)) {
                slots.push(sample(format!("SAMPLE-M{months}"), months));
            }
        } else {
            slots.push(sample(BLANK.to_owned(), BLANK_NUMBER));
        }
        for months in (72..=end).step_by(12) {
            slots.push(PlannedSlot {
                slot: format!("CONTACT-M{months}"),
                kind: SlotKind::Contact.into(),
                months,
                mode: VisitMode::Phone.into(),
                ..PlannedSlot::default()
            });
        }
        slots
    }

    fn justification(self) -> String {
        let period = match self.follow_up {
            Some(FollowUp {
                months,
                until_no_risk,
                basis,
            }) => {
                let until = if until_no_risk {
                    " or until data show no risk"
                } else {
                    ", a floor"
                };
                format!("follow-up {months} months{until} ({basis})")
            }
            None => "follow-up: the guideline names no period for this class (A-16), so the sponsor does"
                .to_owned(),
        };
        let mut numbers = vec![
            "As the guideline has it: reckoned from the last administration (R-D3)".to_owned(),
            period,
            "visits with six blocks for 60 months (A-28), then contact every 12 months (A-32, R-V2)"
                .to_owned(),
        ];
        if self.clonal {
            numbers.push(
                "samples every 6 months for 60 months, then every 12 (A-39, R-S1), confirmation of a clone \
                 in 3 months (A-42, R-C1), intensified every 3 months (A-44) until 1 result without vector \
                 (R-C2)"
                    .to_owned(),
            );
        }
        if self.retroviral {
            numbers.push("test for replication-competent virus in 30 days (A-45, R-R1)".to_owned());
        }
        numbers.push(
            "majority at 216 months (R-M1), assent from 96 (R-M2), 60 days for either (R-M1, R-M2)"
                .to_owned(),
        );
        format!("{}.", numbers.join("; "))
    }

    fn blanks(self) -> Vec<Blank> {
        let mut blanks = Vec::new();
        let mut blank = |path: &str, what| {
            blanks.push(Blank {
                path: path.to_owned(),
                what,
            });
        };
        blank("event_time", "the day of the decision");
        blank("site", "the GLN of the sponsor");
        blank("site_tz", "the sponsor's time zone, such as Asia/Shanghai");
        blank("actor_person", "the actor id of the sponsor's physician");
        let mut blank = |path: &str, what| blank(&format!("follow_up_plan_version.{path}"), what);
        blank("plan_id", "the plan's name among machines");
        blank("product_ids[0]", "the product whose patients follow it");
        blank("protocol_ids[0]", "the protocol that it belongs to (A-34)");
        if self.follow_up.is_none() {
            blank(
                "parameters.follow_up_months",
                "the length of follow-up in months: the guideline names none for this class (A-16); not \
                 below the expected onset of delayed reactions (A-11)",
            );
        }
        blank(
            "parameters.visit_interval_months",
            "months between visits of the first years: the guideline names none",
        );
        if self.clonal {
            blank(
                "parameters.expected_max_percent",
                "the share of vector-positive cells, in per cent, above which clonality is assessed (A-41)",
            );
        }
        blank(
            "parameters.signal_action_days",
            "days from a signal that changes the risk to new consent and plan versions: the guideline says \
             timely (A-23, A-27)",
        );
        if !self.clonal {
            blank(
                "slots[0].slot",
                "the name of the first sample (A-29); further samples are slots as this one",
            );
            blank(
                "slots[0].months",
                "when the first sample is taken, in months: the guideline names none for this class",
            );
        }
        blank(
            "methods[0].method_id",
            "the method of the examinations and assays (A-25, A-40)",
        );
        blank(
            "target_events[0].system",
            "the code system of the target clinical events (A-25), such as MedDRA's",
        );
        blank("target_events[0].code", "the target clinical event");
        if self.edited {
            blank(
                "tissues[0].system",
                "the code system of the tissues in which off-target activity is looked for (A-47)",
            );
            blank("tissues[0].code", "the tissue");
        }
        blank(
            "linked_consent.family",
            "the consent document that explains the plan (A-20, A-35)",
        );
        blank("linked_consent.version", "its version");
        blanks
    }
}

fn blank_code() -> pb::Code {
    pb::Code {
        system: BLANK.to_owned(),
        code: BLANK.to_owned(),
        ..pb::Code::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{TimeZone as _, Utc};

    use super::*;
    use crate::{record, rules::change};

    const CLASSES: [ProductClass; 16] = [
        ProductClass::Plasmid,
        ProductClass::Rna,
        ProductClass::NonintegratingViral,
        ProductClass::Aav,
        ProductClass::Adeno,
        ProductClass::Pox,
        ProductClass::Gammaretro,
        ProductClass::Lenti,
        ProductClass::OtherRetro,
        ProductClass::Transposon,
        ProductClass::Herpes,
        ProductClass::Bacterial,
        ProductClass::GeneEditedInVivo,
        ProductClass::GeneEditedExVivo,
        ProductClass::Oncolytic,
        ProductClass::CellExVivo,
    ];

    fn check(record: &pb::Record) -> Vec<record::Violation> {
        record::check(record, Utc.with_ymd_and_hms(2026, 2, 1, 0, 0, 0).unwrap())
    }

    fn filling(path: &str) -> &'static str {
        match path {
            "event_time" => "2026-01-15",
            "site" => "9521123000018",
            "site_tz" => "Asia/Shanghai",
            path if path.ends_with(".system") => "https://codes.example.org/x",
            path if path.contains("months") => "24",
            path if path.contains("days") || path.contains("percent") => "30",
            _ => "A-1",
        }
    }

    fn plan_of(record: &pb::Record) -> &pb::FollowUpPlanVersion {
        match &record.kind {
            Some(Kind::FollowUpPlanVersion(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_template_is_refused_until_its_blanks_are_filled_and_taken_then() {
        for class in CLASSES {
            let Template { mut record, blanks } = plan(&[class]);
            record.record_id = "11111111-1111-4111-8111-111111111111".to_owned();
            let refused: BTreeSet<String> =
                check(&record).into_iter().map(|one| one.field).collect();
            for Blank { path, .. } in &blanks {
                let is_number = filling(path).parse::<u32>().is_ok() && !path.contains("percent");
                assert_eq!(!is_number, refused.contains(path), "{class:?} {path}");
            }
            assert!(
                refused
                    .iter()
                    .all(|path| blanks.iter().any(|blank| blank.path == *path)),
                "{class:?} {refused:?}"
            );
            for Blank { path, .. } in &blanks {
                record = change::set(&record, path, filling(path)).unwrap();
            }
            assert_eq!(check(&record), [], "{class:?}");
            let printed = format!("{record:?}");
            assert!(!printed.contains(BLANK), "{class:?}");
            assert!(!printed.contains(&BLANK_NUMBER.to_string()), "{class:?}");
        }
    }

    #[test]
    fn each_class_has_the_guidelines_period_or_none() {
        use ProductClass::{
            Aav, Adeno, Bacterial, CellExVivo, Gammaretro, GeneEditedExVivo, GeneEditedInVivo,
            Herpes, Lenti, NonintegratingViral, Oncolytic, OtherRetro, Plasmid, Pox, Rna,
            Transposon,
        };
        for (classes, months, until_no_risk) in [
            (&[Lenti, Gammaretro, OtherRetro, Transposon][..], 180, false),
            (
                &[Herpes, Bacterial, GeneEditedInVivo, GeneEditedExVivo],
                180,
                true,
            ),
            (&[Aav], 60, true),
        ] {
            for class in classes {
                let asked = follow_up(&[*class]).unwrap();
                assert_eq!((asked.months, asked.until_no_risk), (months, until_no_risk));
            }
        }
        for class in [
            Plasmid,
            Rna,
            NonintegratingViral,
            Adeno,
            Pox,
            Oncolytic,
            CellExVivo,
        ] {
            assert_eq!(follow_up(&[class]), None, "{class:?}");
        }
    }

    #[test]
    fn of_several_classes_the_strictest_wins() {
        use ProductClass::{Aav, CellExVivo, GeneEditedExVivo, Lenti, Plasmid};
        for (classes, months, until_no_risk) in [
            (&[Aav, GeneEditedExVivo][..], 180, true),
            (&[GeneEditedExVivo, Lenti], 180, false),
            (&[Lenti, GeneEditedExVivo], 180, false),
            (&[Plasmid, Aav], 60, true),
            (&[CellExVivo, Lenti], 180, false),
        ] {
            let asked = follow_up(classes).unwrap();
            assert_eq!(
                (asked.months, asked.until_no_risk),
                (months, until_no_risk),
                "{classes:?}"
            );
        }
    }

    #[test]
    fn samples_of_integrating_products_are_planned_as_the_guideline_says() {
        let template = plan(&[ProductClass::Lenti]);
        let months_of = |kind| -> Vec<u32> {
            let slots = plan_of(&template.record).slots.iter();
            let of_kind = slots.filter(|slot| slot.kind() == kind);
            of_kind.map(|slot| slot.months).collect()
        };
        let samples = months_of(SlotKind::Sample);
        assert_eq!(samples[..10], [6, 12, 18, 24, 30, 36, 42, 48, 54, 60]);
        assert_eq!(
            samples[10..],
            [72, 84, 96, 108, 120, 132, 144, 156, 168, 180]
        );
        assert_eq!(months_of(SlotKind::Contact), samples[10..]);
        let numbers = plan_of(&template.record).parameters.clone().unwrap();
        assert_eq!(numbers.sample_interval_months_first_years, Some(6));
        assert_eq!(numbers.sample_interval_months_after, Some(12));
        assert_eq!(numbers.rcl_test_days, Some(30));
    }

    #[test]
    fn everything_that_the_guideline_says_is_in_the_plan_and_the_rest_is_blank() {
        let Template { record, .. } = plan(&[ProductClass::GeneEditedExVivo, ProductClass::Lenti]);
        let pb::Record {
            event_time,
            site,
            site_tz,
            actor_person,
            ..
        } = &record;
        assert_eq!([event_time, site, site_tz, actor_person], [BLANK; 4]);
        assert_eq!(record.schema_version, 1);
        let plan = plan_of(&record);
        assert_eq!((plan.plan_id.as_str(), plan.version.as_str()), (BLANK, "1"));
        assert!(plan.purpose.contains("A-04"));
        assert!(plan.population.contains("A-09, A-34, A-49"));
        for basis in ["180 months, a floor (A-12, R-D3)", "A-39", "A-45", "R-M2"] {
            assert!(plan.justification.contains(basis), "{basis}");
        }
        let blank = pb::Code {
            system: BLANK.to_owned(),
            code: BLANK.to_owned(),
            ..pb::Code::default()
        };
        assert_eq!(plan.target_events, std::slice::from_ref(&blank));
        assert_eq!(plan.tissues, [blank]);
        let mut contacts = plan
            .slots
            .iter()
            .filter(|slot| slot.kind() == SlotKind::Contact);
        assert!(contacts.all(|slot| slot.mode() == VisitMode::Phone));
        let expected = pb::PlanParameters {
            anchor: pb::Anchor::LastAdministration.into(),
            follow_up_months: Some(180),
            until_no_risk: Some(false),
            intensive_months: Some(60),
            visit_interval_months: Some(BLANK_NUMBER),
            contact_interval_months: Some(12),
            sample_interval_months_first_years: Some(6),
            sample_first_years_months: Some(60),
            sample_interval_months_after: Some(12),
            clone_retest_months: Some(3),
            intensified_interval_months: Some(3),
            undetectable_results: Some(1),
            expected_max_percent: BLANK.to_owned(),
            rcl_test_days: Some(30),
            majority_months: Some(216),
            assent_months: Some(96),
            requirement_days: Some(60),
            signal_action_days: Some(BLANK_NUMBER),
            ..pb::PlanParameters::default()
        };
        assert_eq!(plan.parameters, Some(expected));
    }

    #[test]
    fn only_what_the_class_is_asked_for_is_in_its_plan() {
        for (class, clonal, retroviral, edited) in [
            (ProductClass::Lenti, true, true, false),
            (ProductClass::Transposon, true, false, false),
            (ProductClass::GeneEditedInVivo, true, false, true),
            (ProductClass::Aav, false, false, false),
            (ProductClass::Plasmid, false, false, false),
        ] {
            let template = plan(&[class]);
            let plan = plan_of(&template.record);
            let numbers = plan.parameters.clone().unwrap();
            assert_eq!(numbers.clone_retest_months.is_some(), clonal, "{class:?}");
            assert_eq!(plan.content.contains("A-39"), clonal, "{class:?}");
            assert_eq!(numbers.rcl_test_days.is_some(), retroviral, "{class:?}");
            assert_eq!(plan.content.contains("A-45"), retroviral, "{class:?}");
            assert_eq!(!plan.tissues.is_empty(), edited, "{class:?}");
            assert_eq!(plan.content.contains("A-47"), edited, "{class:?}");
        }
    }

    #[test]
    fn a_filled_template_is_not_looser_than_the_guideline() {
        for class in CLASSES {
            let Template { mut record, blanks } = plan(&[class]);
            for Blank { path, .. } in &blanks {
                record = change::set(&record, path, filling(path)).unwrap();
            }
            let at = Utc.with_ymd_and_hms(2026, 2, 1, 0, 0, 0).unwrap();
            let raised: Vec<_> = crate::rules::flags::flags(&record, Vec::new(), at)
                .into_iter()
                .map(|flag| flag.code)
                .collect();
            assert!(raised.is_empty(), "{class:?} {raised:?}");
        }
    }
}
