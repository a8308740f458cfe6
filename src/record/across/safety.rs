//! Adverse events, signals, and corrections.

use super::{Across, envelope};
use crate::{pb, record::check::Checker};

impl Across for pb::AdverseEvent {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !c.is_before_event(&self.ended_on),
            "ended_on",
            "END_BEFORE_START",
            "it ended before its onset, at event_time: look both up again",
        );
        c.demand(
            !c.is_before_event(&self.aware_at),
            "aware_at",
            "AWARE_BEFORE_ONSET",
            "nobody is aware of an event before its onset, at event_time: look both up again",
        );
    }
}

impl Across for pb::EventTerm {
    fn across(&self, c: &mut Checker<'_>) {
        for (name, code) in [("llt_code", &self.llt_code), ("pt_code", &self.pt_code)] {
            let eight_digits = code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit());
            c.demand(
                code.is_empty() || eight_digits,
                name,
                "MEDDRA_CODE",
                "a MedDRA code is 8 digits: look it up again",
            );
        }
        let coded = !self.llt_code.is_empty() || !self.pt_code.is_empty();
        c.demand(
            !coded || !self.meddra_version.is_empty(),
            "meddra_version",
            "VERSION_REQUIRED",
            "a MedDRA code means something only in its version: give the version",
        );
    }
}

impl Across for pb::CausalityAssessment {
    fn across(&self, c: &mut Checker<'_>) {
        use pb::CausalityCategory::{
            Certain, Conditional, Definite, Doubtful, Possible, Probable, Unassessable, Unlikely,
            Unspecified,
        };
        let category = self.category();
        let of_scale = match self.scale() {
            pb::CausalityScale::Unspecified => true,
            pb::CausalityScale::WhoUmc => matches!(
                category,
                Unspecified | Certain | Probable | Possible | Unlikely | Conditional | Unassessable
            ),
            pb::CausalityScale::Naranjo => {
                matches!(
                    category,
                    Unspecified | Definite | Probable | Possible | Doubtful
                )
            }
        };
        c.demand(
            of_scale,
            "category",
            "OFF_SCALE",
            "the scale has no such judgement: correct the scale or the category",
        );
        c.demand(
            self.naranjo_points
                .is_none_or(|points| (-4..=13).contains(&points)),
            "naranjo_points",
            "OFF_SCALE",
            "the Naranjo scale goes from -4 to 13: add the points up again",
        );
    }
}

impl Across for pb::PregnancyOutcome {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !c.is_after_event(&self.last_menses_on),
            "last_menses_on",
            "END_BEFORE_START",
            "the pregnancy ended, at event_time, before it began: look both up again",
        );
        let could = matches!(
            self.who(),
            pb::SubjectKind::Unspecified | pb::SubjectKind::Patient | pb::SubjectKind::Partner
        );
        c.demand(
            could,
            "who",
            "PREGNANCY_OF_WHOM",
            "record the pregnancy of the patient or of the partner: PATIENT or PARTNER",
        );
    }
}

impl Across for pb::RiskSignal {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !self.product_ids.is_empty()
                || !self.product_classes.is_empty()
                || !self.lots.is_empty(),
            "product_ids",
            "AFFECTED_EMPTY",
            "say what the signal affects: products, classes or lots",
        );
    }
}

impl Across for pb::SignalDecision {
    fn across(&self, c: &mut Checker<'_>) {
        for (item, action) in self.not_needed.iter().enumerate() {
            c.demand_item(
                !self.needed.contains(action),
                ("not_needed", item),
                "NEEDED_AND_NOT",
                "an action is needed or it is not: leave it out of one of the two",
            );
        }
    }
}

impl Across for pb::Correction {
    fn across(&self, c: &mut Checker<'_>) {
        another_record("target", &self.target, c);
        another_record("replacement", &self.replacement, c);
        c.demand(
            !envelope::is_same_id(&self.replacement, &self.target),
            "replacement",
            "CYCLE",
            "a record cannot take its own place: name the record that does",
        );
    }
}

impl Across for pb::FieldChange {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.old != self.new,
            "new",
            "NO_CHANGE",
            "the field would say what it says: leave the change out, or give the new value",
        );
    }
}

impl Across for pb::Countersigned {
    fn across(&self, c: &mut Checker<'_>) {
        another_record("target", &self.target, c);
    }
}

fn another_record(name: &'static str, id: &str, c: &mut Checker<'_>) {
    c.demand(
        !envelope::is_same_id(id, &c.record().record_id),
        name,
        "SELF_LINK",
        "a record cannot be about itself: name the other record",
    );
}
