//! What is refused because of another record: a decision that names what is not there, a name that is taken,
//! a record that contradicts one that stands. A fact is never refused because it should not have happened,
//! nor because what it names has not arrived yet; those are [`deviations`](super::deviations).
//!
//! What may be refused of a record by itself was checked before; what of keys, elsewhere.

use std::{collections::BTreeSet, mem::discriminant};

use chrono::{DateTime, Utc};

use super::{
    change,
    fact::{Fact, LotId, Material, Records, Subject, material, subjects},
    question::{Question, Seen, seen},
    trace::descends_from_any,
};
use crate::{
    pb::{self, record::Kind},
    record::{Violation, check, event_span},
};

/// Whether records of a kind, by its field in `genetrail.v1.Record`, are held against others here.
pub const fn is_judged(kind: u32) -> bool {
    matches!(
        kind,
        ACTOR_REGISTERED
            | LOT_REGISTERED
            | TRANSFORMATION
            | PATIENT_REGISTERED
            | CONSENT_DOCUMENT_VERSION
            | CONSENT_SIGNED
            | FOLLOW_UP_PLAN_VERSION
            | PLAN_ACTIVATED
            | SAMPLE_COLLECTED
            | SAMPLE_EVENT
            | ASSAY_RESULT
            | CORRECTION
    )
}

const ACTOR_REGISTERED: u32 = 104;
const LOT_REGISTERED: u32 = 130;
const TRANSFORMATION: u32 = 141;
const PATIENT_REGISTERED: u32 = 170;
const CONSENT_DOCUMENT_VERSION: u32 = 180;
const CONSENT_SIGNED: u32 = 182;
const FOLLOW_UP_PLAN_VERSION: u32 = 201;
const PLAN_ACTIVATED: u32 = 202;
const SAMPLE_COLLECTED: u32 = 210;
const SAMPLE_EVENT: u32 = 211;
const ASSAY_RESULT: u32 = 221;
const CORRECTION: u32 = 250;

/// What is wrong with a record, given every fact so far. A record that is among them already is not judged
/// again: it is a repeat.
pub fn refuse<F: Records>(
    facts: &F,
    record: &pb::Record,
    now: DateTime<Utc>,
) -> Result<Vec<Violation>, F::Error> {
    if facts.record(&record.record_id)?.is_some() {
        return Ok(Vec::new());
    }
    let mut refused = Refused {
        facts,
        violations: Vec::new(),
    };
    match &record.kind {
        Some(Kind::Correction(correction)) => refused.correction(correction, now)?,
        Some(Kind::ActorRegistered(actor)) => refused.actor(actor)?,
        Some(Kind::PatientRegistered(_)) => refused.patient(&record.patient)?,
        Some(Kind::LotRegistered(lot)) => refused.lot(lot)?,
        Some(Kind::ConsentDocumentVersion(version)) => refused.consent_version(version)?,
        Some(Kind::ConsentSigned(signed)) => refused.signed_document(signed)?,
        Some(Kind::FollowUpPlanVersion(plan)) => refused.plan_version(plan)?,
        Some(Kind::PlanActivated(activated)) => refused.plan(activated.plan.as_ref())?,
        Some(Kind::Transformation(step)) => refused.step(step)?,
        Some(Kind::SampleCollected(sample)) => {
            refused.sample_id(&sample.sample_id, "sample_collected.sample_id")?;
        }
        Some(Kind::SampleEvent(event)) => refused.sample_event(event)?,
        Some(Kind::AssayResult(result)) => refused.result(record, result)?,
        _ => {}
    }
    Ok(refused.violations)
}

struct Refused<'a, F> {
    facts: &'a F,
    violations: Vec<Violation>,
}

impl<F: Records> Refused<'_, F> {
    fn refuse(&mut self, holds: bool, path: &str, rule: &'static str, remedy: &str) {
        if holds {
            self.violations.push(Violation {
                field: path.to_owned(),
                rule,
                remedy: remedy.to_owned(),
            });
        }
    }

    /// The facts about a subject as they are known to be, whenever they happened: what was corrected away
    /// stands in nobody's way.
    fn standing(&self, subject: &Subject) -> Result<Vec<Seen>, F::Error> {
        let about = self.facts.about(subject)?;
        Ok(seen(&about, &Question::EVERYTHING))
    }

    fn correction(
        &mut self,
        correction: &pb::Correction,
        now: DateTime<Utc>,
    ) -> Result<(), F::Error> {
        let path = "correction.target";
        let Some(target) = self.facts.record(&correction.target)? else {
            let remedy = "name the record that is wrong by its record_id, once it is recorded";
            self.refuse(true, path, "CORRECTION_TARGET_UNKNOWN", remedy);
            return Ok(());
        };
        let of_keys = matches!(
            target.kind(),
            Some(
                Kind::Genesis(_)
                    | Kind::KeyRegistered(_)
                    | Kind::KeyRotated(_)
                    | Kind::KeyRevoked(_)
            )
        );
        let remedy = "what the ledger stands on is not corrected: revoke or rotate the key";
        self.refuse(of_keys, path, "CORRECTION_OF_KEY", remedy);
        self.replacement(correction, &target)?;
        self.changes(correction, &target, now)
    }

    /// A replacement takes the place of its target: it is of the same kind, and is not itself replaced, by
    /// however many corrections, by the target.
    fn replacement(&mut self, correction: &pb::Correction, target: &Fact) -> Result<(), F::Error> {
        let path = "correction.replacement";
        let mut been = BTreeSet::new();
        let mut open = vec![correction.replacement.clone()];
        while let Some(id) = open.pop() {
            if id == correction.target {
                let remedy =
                    "the target takes the place of this record already: correct that first";
                self.refuse(true, path, "CORRECTION_CYCLE", remedy);
                return Ok(());
            }
            if id.is_empty() || !been.insert(id.clone()) {
                continue;
            }
            let Some(replacement) = self.facts.record(&id)? else {
                continue;
            };
            let kinds = target.kind().zip(replacement.kind());
            let other = kinds.is_some_and(|(one, other)| discriminant(one) != discriminant(other));
            if other && id == correction.replacement {
                let remedy = "a record takes the place of one of the same kind";
                self.refuse(true, path, "REPLACEMENT_KIND", remedy);
            }
            open.extend(self.replacements(&replacement)?);
        }
        Ok(())
    }

    /// The records that take the place of one.
    fn replacements(&self, of: &Fact) -> Result<Vec<String>, F::Error> {
        let Some(subject) = subjects(&of.record).into_iter().next() else {
            return Ok(Vec::new());
        };
        let about = self.facts.about(&subject)?;
        let replacement = |fact: &Fact| match fact.kind() {
            Some(Kind::Correction(correction)) if correction.target == of.record.record_id => {
                Some(correction.replacement.clone())
            }
            _ => None,
        };
        Ok(about.iter().filter_map(|fact| replacement(fact)).collect())
    }

    /// The changes fit the record as it is known to be, and leave one that may be recorded.
    fn changes(
        &mut self,
        correction: &pb::Correction,
        target: &Fact,
        now: DateTime<Utc>,
    ) -> Result<(), F::Error> {
        let mut changed = self.as_known(target)?;
        for (item, one) in correction.changes.iter().enumerate() {
            let path = format!("correction.changes[{item}].path");
            if matches!(one.path.as_str(), "record_id" | "schema_version") {
                let remedy = "a record keeps its id: correct it with a replacement";
                self.refuse(true, &path, "CHANGE_PATH", remedy);
                continue;
            }
            match change::set(&changed, &one.path, &one.new) {
                Ok(after) if same_kind(&after, &changed) => changed = after,
                Ok(_) | Err(change::ChangeRefused::Path) => {
                    let remedy =
                        "name a field of the corrected record, such as administration.lot.lot";
                    self.refuse(true, &path, "CHANGE_PATH", remedy);
                }
                Err(change::ChangeRefused::Group) => {
                    let remedy = "name each field of the group by itself";
                    self.refuse(true, &path, "CHANGE_PATH", remedy);
                }
                Err(change::ChangeRefused::Value) => {
                    let path = format!("correction.changes[{item}].new");
                    let remedy = "write the value as a person would: a number, true, a name";
                    self.refuse(true, &path, "CHANGE_VALUE", remedy);
                }
            }
        }
        if self.violations.is_empty() && !correction.changes.is_empty() {
            for wrong in check(&changed, now) {
                // The path is into the corrected record; the change that made it so is for the sender to find.
                let remedy = format!("after the changes, {}: {}", wrong.field, wrong.remedy);
                self.refuse(true, "correction.changes", wrong.rule, &remedy);
            }
        }
        Ok(())
    }

    /// The record as it is known to be; as it was recorded, if nothing is left of it.
    fn as_known(&self, target: &Fact) -> Result<pb::Record, F::Error> {
        let Some(subject) = subjects(&target.record).into_iter().next() else {
            return Ok(target.record.clone());
        };
        let standing = self.standing(&subject)?;
        let known = standing.iter().find(|fact| fact.index == target.index);
        Ok(known.map_or_else(|| target.record.clone(), |fact| fact.record.clone()))
    }

    fn actor(&mut self, actor: &pb::ActorRegistered) -> Result<(), F::Error> {
        let standing = self.standing(&Subject::Catalogue)?;
        let taken = standing.iter().any(|fact| match fact.kind() {
            Some(Kind::ActorRegistered(other)) => other.actor_id == actor.actor_id,
            _ => false,
        });
        let remedy = "the actor is registered: record a change of its roles";
        self.refuse(
            taken,
            "actor_registered.actor_id",
            "ACTOR_REGISTERED",
            remedy,
        );
        Ok(())
    }

    fn patient(&mut self, patient: &str) -> Result<(), F::Error> {
        let standing = self.standing(&Subject::Patient(patient.to_owned()))?;
        let taken = standing.iter().any(|fact| {
            matches!(fact.kind(), Some(Kind::PatientRegistered(_)))
                && fact.record.patient == patient
        });
        let remedy =
            "the pseudonym is registered: give another person another; correct what is wrong";
        self.refuse(taken, "patient", "PATIENT_REGISTERED", remedy);
        Ok(())
    }

    fn lot(&mut self, lot: &pb::LotRegistered) -> Result<(), F::Error> {
        let id = LotId::from(lot);
        let standing = self.standing(&Subject::Lot(id.clone()))?;
        let taken = standing.iter().any(|fact| match fact.kind() {
            Some(Kind::LotRegistered(other)) => LotId::from(other) == id && other != lot,
            _ => false,
        });
        let remedy = "the lot is registered, and otherwise: correct that record if it is wrong";
        self.refuse(taken, "lot_registered.lot", "LOT_REGISTERED", remedy);
        for (item, code) in lot.nmpa_trace_codes.iter().enumerate() {
            let standing = self.standing(&Subject::TraceCode(code.clone()))?;
            let used = standing.iter().any(|fact| match fact.kind() {
                Some(Kind::LotRegistered(other)) => {
                    LotId::from(other) != id && other.nmpa_trace_codes.contains(code)
                }
                _ => false,
            });
            let path = format!("lot_registered.nmpa_trace_codes[{item}]");
            let remedy =
                "a unit of another lot has this trace code: read it again; correct what is wrong";
            self.refuse(used, &path, "TRACE_CODE_USED", remedy);
        }
        Ok(())
    }

    fn consent_version(&mut self, version: &pb::ConsentDocumentVersion) -> Result<(), F::Error> {
        let standing = self.standing(&Subject::Catalogue)?;
        let family: Vec<&pb::ConsentDocumentVersion> = standing
            .iter()
            .filter_map(|fact| match fact.kind() {
                Some(Kind::ConsentDocumentVersion(other)) if other.family == version.family => {
                    Some(other)
                }
                _ => None,
            })
            .collect();
        // A version has a document for each language and audience, and one place in its family.
        let reused = family.iter().any(|other| {
            let same = other.version == version.version;
            let same_place = other.ordinal == version.ordinal;
            let same_document =
                other.language == version.language && other.audience == version.audience;
            same != same_place || same && same_document
        });
        let path = "consent_document_version.version";
        let remedy = "the family has this version, or another at this ordinal: give it its own";
        self.refuse(reused, path, "CONSENT_VERSION_REUSED", remedy);

        let follows = family.iter().any(|other| other.version != version.version);
        let initial = version.change_class() == pb::ChangeClass::Initial && follows;
        let path = "consent_document_version.change_class";
        let remedy = "the family has a version already: say how this one differs from it";
        self.refuse(initial, path, "INITIAL_NOT_FIRST", remedy);

        for (item, satisfied) in version.satisfies.iter().enumerate() {
            let unknown = !family.iter().any(|other| other.version == *satisfied);
            let path = format!("consent_document_version.satisfies[{item}]");
            let remedy = "name older versions of the family that are recorded";
            self.refuse(unknown, &path, "CONSENT_VERSION_UNKNOWN", remedy);
        }
        Ok(())
    }

    /// A signature under a version that is known is under one of its documents.
    fn signed_document(&mut self, signed: &pb::ConsentSigned) -> Result<(), F::Error> {
        let Some(key) = signed
            .version
            .as_ref()
            .filter(|_| !signed.document_sha256.is_empty())
        else {
            return Ok(());
        };
        let standing = self.standing(&Subject::Catalogue)?;
        let documents: Vec<&pb::DocHash> = standing
            .iter()
            .filter_map(|fact| match fact.kind() {
                Some(Kind::ConsentDocumentVersion(version))
                    if version.family == key.family && version.version == key.version =>
                {
                    version.document.as_ref()
                }
                _ => None,
            })
            .collect();
        let other = !documents
            .iter()
            .any(|one| one.sha256 == signed.document_sha256);
        let path = "consent_signed.document_sha256";
        let remedy = "no document of this version has this hash: name the version that was signed";
        self.refuse(
            !documents.is_empty() && other,
            path,
            "DOCUMENT_UNKNOWN",
            remedy,
        );
        Ok(())
    }

    fn plan_version(&mut self, plan: &pb::FollowUpPlanVersion) -> Result<(), F::Error> {
        let versions = self.plan_versions(&plan.plan_id)?;
        let reused = versions
            .iter()
            .any(|(version, ordinal)| *version == plan.version || *ordinal == plan.ordinal);
        let path = "follow_up_plan_version.version";
        let remedy = "the plan has this version, or another at this ordinal: give it its own";
        self.refuse(reused, path, "PLAN_VERSION_REUSED", remedy);
        Ok(())
    }

    fn plan(&mut self, key: Option<&pb::PlanVersionKey>) -> Result<(), F::Error> {
        let Some(key) = key else { return Ok(()) };
        let versions = self.plan_versions(&key.plan_id)?;
        let unknown = !versions.iter().any(|(version, _)| *version == key.version);
        let remedy = "record the plan version first, or correct its key";
        self.refuse(
            unknown,
            "plan_activated.plan",
            "PLAN_VERSION_UNKNOWN",
            remedy,
        );
        Ok(())
    }

    fn plan_versions(&self, plan_id: &str) -> Result<Vec<(String, u32)>, F::Error> {
        let standing = self.standing(&Subject::Catalogue)?;
        let versions = standing.iter().filter_map(|fact| match fact.kind() {
            Some(Kind::FollowUpPlanVersion(plan)) if plan.plan_id == plan_id => {
                Some((plan.version.clone(), plan.ordinal))
            }
            _ => None,
        });
        Ok(versions.collect())
    }

    /// A lot is made once, and not from itself, through however many steps.
    fn step(&mut self, step: &pb::Transformation) -> Result<(), F::Error> {
        let mut outputs = BTreeSet::new();
        for (item, output) in step.outputs.iter().enumerate() {
            let Some(Material::Lot(lot)) = material(output) else {
                continue;
            };
            let made = !self.steps_that_made(&lot)?.is_empty();
            let path = format!("transformation.outputs[{item}]");
            let remedy = "another step made this lot: correct that record if it is wrong";
            self.refuse(made, &path, "OUTPUT_PRODUCED", remedy);
            outputs.insert(Material::Lot(lot));
        }
        for (item, input) in step.inputs.iter().enumerate() {
            let Some(input) = material(input) else {
                continue;
            };
            let cycle = descends_from_any(self.facts, &Question::EVERYTHING, &input, &outputs)?;
            let path = format!("transformation.inputs[{item}]");
            let remedy = "this lot was made, step by step, from one of the outputs";
            self.refuse(cycle, &path, "TRANSFORMATION_CYCLE", remedy);
        }
        Ok(())
    }

    fn steps_that_made(&self, lot: &LotId) -> Result<Vec<pb::Transformation>, F::Error> {
        let made = Material::Lot(lot.clone());
        let standing = self.standing(&Subject::Lot(lot.clone()))?;
        let steps = standing.iter().filter_map(|fact| match fact.kind() {
            Some(Kind::Transformation(step)) => Some(step),
            _ => None,
        });
        let makes = |step: &&pb::Transformation| {
            let mut outputs = step.outputs.iter().filter_map(material);
            outputs.any(|output| output == made)
        };
        Ok(steps.filter(makes).cloned().collect())
    }

    fn sample_event(&mut self, event: &pb::SampleEvent) -> Result<(), F::Error> {
        for (item, aliquot) in event.aliquots.iter().enumerate() {
            let path = format!("sample_event.aliquots[{item}].sample_id");
            self.sample_id(&aliquot.sample_id, &path)?;
        }
        if !event.new_sample_id.is_empty() {
            self.sample_id(&event.new_sample_id, "sample_event.new_sample_id")?;
        }
        Ok(())
    }

    /// One sample bears an id: what was collected, divided off or relabelled under it.
    fn sample_id(&mut self, sample: &str, path: &str) -> Result<(), F::Error> {
        let standing = self.standing(&Subject::Sample(sample.to_owned()))?;
        let taken = standing.iter().any(|fact| match fact.kind() {
            Some(Kind::SampleCollected(other)) => other.sample_id == sample,
            Some(Kind::SampleEvent(event)) => {
                let mut aliquots = event.aliquots.iter();
                event.new_sample_id == sample || aliquots.any(|one| one.sample_id == sample)
            }
            _ => false,
        });
        let remedy = "another sample bears this id: give this one its own; correct what is wrong";
        self.refuse(taken, path, "SAMPLE_ID_USED", remedy);
        Ok(())
    }

    fn result(&mut self, record: &pb::Record, result: &pb::AssayResult) -> Result<(), F::Error> {
        let standing = self.standing(&Subject::Sample(result.sample_id.clone()))?;
        let issued = event_span(record);
        let before = standing.iter().any(|fact| match fact.kind() {
            Some(Kind::SampleCollected(sample)) if sample.sample_id == result.sample_id => issued
                .zip(event_span(&fact.record))
                .is_some_and(|(issued, taken)| issued.is_before(taken)),
            _ => false,
        });
        let remedy = "the sample was taken later: correct the sample's id, or either time";
        self.refuse(before, "event_time", "RESULT_BEFORE_SAMPLE", remedy);
        Ok(())
    }
}

fn same_kind(one: &pb::Record, other: &pb::Record) -> bool {
    one.kind.as_ref().map(discriminant) == other.kind.as_ref().map(discriminant)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rules::deviations::tests::{GTIN, Story, car_t, lines, record};

    /// The rules and fields for which a record would be refused on top of a story.
    fn refused(story: &Story, kind: Value) -> Vec<String> {
        let record = story.record("2026-01-10T09:00:00+08:00", kind);
        let Ok(violations) = refuse(
            &story.book,
            &record,
            "2026-02-01T00:00:00Z".parse().unwrap(),
        );
        let told = violations.into_iter();
        told.map(|one| format!("{} {}", one.rule, one.field))
            .collect()
    }

    /// Refused on top of a story as expected, and recorded where one thing is mended.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "values are made where it is called"
    )]
    fn check(story: &Story, refused_so: &[&str], kind: Value, mended: Value) {
        assert_eq!(refused(story, kind.clone()), refused_so, "{kind}");
        assert_eq!(refused(story, mended.clone()), [""; 0], "{mended}");
    }

    #[test]
    fn the_worked_history_is_recorded_and_so_is_its_repeat() {
        let mut story = Story::default();
        for (line, recorded_at) in lines() {
            let now = recorded_at.parse().unwrap();
            assert_eq!(
                refuse(&story.book, &record(&line), now).unwrap(),
                [],
                "{line}"
            );
            story.take(&line, &recorded_at);
        }
        for (line, recorded_at) in lines() {
            let now = recorded_at.parse().unwrap();
            assert_eq!(
                refuse(&story.book, &record(&line), now).unwrap(),
                [],
                "{line}"
            );
        }
    }

    #[test]
    fn who_is_registered_is_not_registered_again() {
        let story = car_t();
        let actor = |id: &str| json!({"actorRegistered": {"actorId": id}});
        check(
            &story,
            &["ACTOR_REGISTERED actor_registered.actor_id"],
            actor("s01-1"),
            actor("s01-2"),
        );
        let patient = |id: &str| json!({"patientRegistered": {}, "patient": id});
        check(
            &story,
            &["PATIENT_REGISTERED patient"],
            patient("P1"),
            patient("P-NEW"),
        );
    }

    #[test]
    fn a_lot_is_registered_one_way_only() {
        let story = car_t();
        let lot = |lot: &str| json!({"lotRegistered": {"gtin": GTIN, "lot": lot}});
        check(
            &story,
            &["LOT_REGISTERED lot_registered.lot"],
            lot("DP-001"),
            lot("DP-100"),
        );
        let (line, _) = lines()
            .into_iter()
            .find(|(line, _)| line.contains("lotRegistered"))
            .unwrap();
        let same: Value = serde_json::from_str(&line).unwrap();
        let same = json!({"lotRegistered": same["lotRegistered"]});
        assert_eq!(refused(&story, same), [""; 0], "the same again");
    }

    #[test]
    fn a_trace_code_is_one_units() {
        let mut story = car_t();
        let codes = |lot: &str, codes: [&str; 2]| json!({"lotRegistered": {"gtin": GTIN, "lot": lot, "nmpaTraceCodes": codes}});
        let [one, two, three] = [
            "81234567890123456781",
            "81234567890123456782",
            "81234567890123456783",
        ];
        story.tell("2026-01-01", "", codes("DP-101", [one, two]));
        check(
            &story,
            &["TRACE_CODE_USED lot_registered.nmpa_trace_codes[1]"],
            codes("DP-102", [three, two]),
            codes("DP-101", [one, two]),
        );
        let registered = story.last_id_of(|kind| matches!(kind, Kind::LotRegistered(_)));
        let corrected = json!({"correction": {"target": registered,
            "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
            "changes": [{"path": "lot_registered.nmpa_trace_codes[1]", "old": two, "new": three}]}});
        story.tell("2026-01-02", "", corrected);
        check(
            &story,
            &["TRACE_CODE_USED lot_registered.nmpa_trace_codes[0]"],
            codes("DP-102", [three, two]),
            codes("DP-102", [two, "81234567890123456784"]),
        );
    }

    #[test]
    fn a_registration_that_was_taken_back_stands_in_nobodys_way() {
        let mut story = car_t();
        let first = story.id_of(|kind| matches!(kind, Kind::PatientRegistered(_)));
        let patient = json!({"patientRegistered": {}, "patient": "P1"});
        assert_eq!(refused(&story, patient.clone()).len(), 1);
        story.tell(
            "2026-01-09",
            "",
            json!({"correction": {
            "target": first, "correctionKind": "CORRECTION_KIND_DID_NOT_OCCUR"}}),
        );
        assert_eq!(refused(&story, patient), [""; 0]);
    }

    #[test]
    fn a_consent_version_has_its_own_place_in_its_family() {
        let story = car_t();
        let version = |version: &str, ordinal: u32, language: &str, rest: Value| {
            let mut document = json!({"family": "ICF-LTFU-CAR19", "version": version, "ordinal": ordinal,
                "language": language, "changeClass": "CHANGE_CLASS_ADMINISTRATIVE"});
            document
                .as_object_mut()
                .unwrap()
                .extend(rest.as_object().unwrap().clone());
            json!({"consentDocumentVersion": document})
        };
        let reused = "CONSENT_VERSION_REUSED consent_document_version.version";
        let good = version("4.0", 5, "zh-CN", json!({}));
        let adult = json!({"audience": "CONSENT_AUDIENCE_ADULT"});
        check(
            &story,
            &[reused],
            version("3.0", 4, "zh-CN", adult.clone()),
            version("3.0", 4, "en", adult),
        );
        check(
            &story,
            &[reused],
            version("3.0", 5, "en", json!({})),
            good.clone(),
        );
        check(
            &story,
            &[reused],
            version("4.0", 4, "en", json!({})),
            good.clone(),
        );
        let initial = json!({"changeClass": "CHANGE_CLASS_INITIAL"});
        let not_first = "INITIAL_NOT_FIRST consent_document_version.change_class";
        check(&story, &[not_first], version("4.0", 5, "en", initial), good);
        let of_another_family = json!({"family": "ANOTHER", "version": "3.0", "ordinal": 1, "language": "zh-CN",
            "changeClass": "CHANGE_CLASS_INITIAL"});
        let of_another_family = json!({"consentDocumentVersion": of_another_family});
        assert_eq!(refused(&story, of_another_family), [""; 0]);
        let unknown = "CONSENT_VERSION_UNKNOWN consent_document_version.satisfies[1]";
        check(
            &story,
            &[unknown],
            version("4.0", 5, "en", json!({"satisfies": ["3.0", "9.9"]})),
            version("4.0", 5, "en", json!({"satisfies": ["3.0", "2.0"]})),
        );
    }

    #[test]
    fn a_signature_is_under_a_document_of_its_version() {
        let story = car_t();
        let signed = |version: &str, document: &str| {
            json!({"consentSigned": {"version": {"family": "ICF-LTFU-CAR19", "version": version},
                "documentSha256": document}, "patient": "P1"})
        };
        let ones = "ERERERERERERERERERERERERERERERERERERERERERE=";
        let unknown = "DOCUMENT_UNKNOWN consent_signed.document_sha256";
        check(&story, &[unknown], signed("2.0", ones), signed("1.0", ones));
        assert_eq!(
            refused(&story, signed("9.0", ones)),
            [""; 0],
            "its version may come later"
        );
        assert_eq!(
            refused(&story, signed("2.0", "")),
            [""; 0],
            "nobody compared it"
        );
    }

    #[test]
    fn a_plan_is_activated_where_it_is_known() {
        let story = car_t();
        let activated = |version: &str| json!({"planActivated": {"plan": {"planId": "LTFU-CAR19", "version": version}}});
        let unknown = "PLAN_VERSION_UNKNOWN plan_activated.plan";
        check(&story, &[unknown], activated("3"), activated("2"));
        let version = |version: &str, ordinal: u32| json!({"followUpPlanVersion": {"planId": "LTFU-CAR19", "version": version, "ordinal": ordinal}});
        let reused = "PLAN_VERSION_REUSED follow_up_plan_version.version";
        check(&story, &[reused], version("2", 3), version("3", 3));
        check(&story, &[reused], version("3", 2), version("3", 3));
        // Another plan has its own versions.
        let first =
            json!({"followUpPlanVersion": {"planId": "ANOTHER", "version": "2", "ordinal": 2}});
        assert_eq!(refused(&story, first), [""; 0]);
        let activated = json!({"planActivated": {"plan": {"planId": "ANOTHER", "version": "2"}}});
        assert_eq!(refused(&story, activated), [unknown]);
    }

    #[test]
    fn a_lot_is_made_once_and_not_from_itself() {
        let mut story = car_t();
        let made = |inputs: &[&str], outputs: &[&str]| {
            let item = |lot: &&str| json!({"lot": {"gtin": GTIN, "lot": lot}});
            let inputs: Vec<Value> = inputs.iter().map(item).collect();
            let outputs: Vec<Value> = outputs.iter().map(item).collect();
            json!({"transformation": {"inputs": inputs, "outputs": outputs}})
        };
        let produced = "OUTPUT_PRODUCED transformation.outputs[1]";
        check(
            &story,
            &[produced],
            made(&["A"], &["B", "DP-001"]),
            made(&["A"], &["B"]),
        );
        for (from, to) in [("A", "B"), ("B", "C"), ("C", "D")] {
            story.tell("2026-01-01", "", made(&[from], &[to]));
        }
        let cycle = "TRANSFORMATION_CYCLE transformation.inputs[1]";
        check(
            &story,
            &[cycle],
            made(&["X", "D"], &["A"]),
            made(&["X", "D"], &["E"]),
        );
        check(
            &story,
            &[cycle],
            made(&["X", "A"], &["A"]),
            made(&["X", "A"], &["F"]),
        );
    }

    #[test]
    fn a_sample_id_is_one_samples() {
        let mut story = car_t();
        story.tell(
            "2026-01-01",
            "",
            json!({"sampleEvent": {"sampleId": "SMP-001",
            "event": "SAMPLE_EVENT_KIND_ALIQUOTED", "aliquots": [{"sampleId": "SMP-001-A"}]}}),
        );
        let collected =
            |sample: &str| json!({"sampleCollected": {"sampleId": sample}, "patient": "P1"});
        let used = "SAMPLE_ID_USED sample_collected.sample_id";
        check(&story, &[used], collected("SMP-001"), collected("SMP-900"));
        check(
            &story,
            &[used],
            collected("SMP-001-A"),
            collected("SMP-001-B"),
        );
        let divided = |sample: &str| {
            json!({"sampleEvent": {"sampleId": "SMP-002", "event": "SAMPLE_EVENT_KIND_ALIQUOTED",
                "aliquots": [{"sampleId": "SMP-002-A"}, {"sampleId": sample}]}})
        };
        let used = "SAMPLE_ID_USED sample_event.aliquots[1].sample_id";
        check(&story, &[used], divided("SMP-003"), divided("SMP-002-B"));
        let relabelled = |sample: &str| {
            json!({"sampleEvent": {"sampleId": "SMP-002", "event": "SAMPLE_EVENT_KIND_RELABELLED",
                "newSampleId": sample}})
        };
        let used = "SAMPLE_ID_USED sample_event.new_sample_id";
        check(
            &story,
            &[used],
            relabelled("SMP-003"),
            relabelled("SMP-902"),
        );
        story.tell("2026-01-02", "", relabelled("SMP-902"));
        let used = "SAMPLE_ID_USED sample_collected.sample_id";
        check(&story, &[used], collected("SMP-902"), collected("SMP-903"));
    }

    #[test]
    fn a_result_is_not_issued_before_its_sample_is_taken() {
        let mut story = car_t();
        for (sample, at) in [
            ("LATER", "2026-01-10T09:00:01+08:00"),
            ("NOW", "2026-01-10T09:00:00+08:00"),
            ("TODAY", "2026-01-10"),
        ] {
            story.tell(at, "P1", json!({"sampleCollected": {"sampleId": sample}}));
        }
        let result = |sample: &str| json!({"assayResult": {"sampleId": sample}});
        check(
            &story,
            &["RESULT_BEFORE_SAMPLE event_time"],
            result("LATER"),
            result("NOW"),
        );
        assert_eq!(refused(&story, result("TODAY")), [""; 0]);
        assert_eq!(refused(&story, result("UNKNOWN")), [""; 0]);
        // It was another sample that was taken later.
        let later = story.last_id_of(
            |kind| matches!(kind, Kind::SampleCollected(sample) if sample.sample_id == "LATER"),
        );
        let corrected = json!({"correction": {"target": later,
            "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
            "changes": [{"path": "sample_collected.sample_id", "new": "ANOTHER"}]}});
        story.tell("2026-01-11", "", corrected);
        assert_eq!(refused(&story, result("LATER")), [""; 0]);
    }

    #[test]
    fn a_correction_is_of_a_record_that_is_there() {
        let story = car_t();
        let target = story.id_of(|kind| matches!(kind, Kind::Administration(_)));
        let correction = |target: &str| json!({"correction": {"target": target, "correctionKind": "CORRECTION_KIND_DID_NOT_OCCUR"}});
        let unknown = "CORRECTION_TARGET_UNKNOWN correction.target";
        let nobody = "ffffffff-ffff-4fff-8fff-ffffffffffff";
        check(&story, &[unknown], correction(nobody), correction(&target));
    }

    #[test]
    fn a_change_fits_the_record_that_it_changes() {
        let story = car_t();
        let target = story.id_of(|kind| matches!(kind, Kind::Administration(_)));
        let change = |path: &str, new: &str| {
            json!({"correction": {"target": target, "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
                "changes": [{"path": path, "new": new}]}})
        };
        let good = change("administration.lot.lot", "DP-002");
        let path = "CHANGE_PATH correction.changes[0].path";
        check(
            &story,
            &[path],
            change("administration.lots", "DP-002"),
            good.clone(),
        );
        check(
            &story,
            &[path],
            change("administration.lot", "DP-002"),
            good.clone(),
        );
        check(
            &story,
            &[path],
            change("sample_collected.sample_id", "S"),
            good.clone(),
        );
        check(&story, &[path], change("record_id", "DP-002"), good);
        let value = "CHANGE_VALUE correction.changes[0].new";
        check(
            &story,
            &[value],
            change("administration.dose_number", "two"),
            change("administration.dose_number", "2"),
        );
        // What comes out may be recorded.
        assert_eq!(
            refused(&story, change("administration.lot.gtin", "09521123450012")).len(),
            1
        );
        assert_eq!(
            refused(&story, change("administration.status", "")).len(),
            1
        );
    }

    #[test]
    fn records_do_not_take_each_others_place() {
        let mut story = car_t();
        let first = story.id_of(|kind| matches!(kind, Kind::Administration(_)));
        let second = story.last_id_of(|kind| matches!(kind, Kind::Administration(_)));
        let sample = story.id_of(|kind| matches!(kind, Kind::SampleCollected(_)));
        let replaced = |target: &str, by: &str| {
            json!({"correction": {"target": target, "replacement": by,
                "correctionKind": "CORRECTION_KIND_INCORRECT_DATA"}})
        };
        check(
            &story,
            &["REPLACEMENT_KIND correction.replacement"],
            replaced(&first, &sample),
            replaced(&first, &second),
        );
        assert_eq!(
            refused(
                &story,
                replaced(&first, "ffffffff-ffff-4fff-8fff-ffffffffffff")
            ),
            [""; 0]
        );
        story.tell("2026-01-02", "", replaced(&first, &second));
        assert_eq!(
            refused(&story, replaced(&second, &first)),
            ["CORRECTION_CYCLE correction.replacement"]
        );
        // What takes another record's place is in nobody else's way.
        let [one, two, three] = ["SMP-801", "SMP-802", "SMP-803"].map(|sample| {
            let collected = json!({"sampleCollected": {"sampleId": sample}});
            story.tell("2026-01-03", "P1", collected);
            story.last_id_of(|kind| matches!(kind, Kind::SampleCollected(_)))
        });
        story.tell("2026-01-04", "", replaced(&one, &two));
        assert_eq!(refused(&story, replaced(&two, &three)), [""; 0]);
        // Nor is what takes the place of another record of the same sample, or of none.
        let [relabelled, rejected, stored] = ["NEW", "", ""].map(|new| {
            let event = json!({"sampleEvent": {"sampleId": "SMP-801", "newSampleId": new}});
            story.tell("2026-01-05", "P1", event);
            story.last_id_of(|kind| matches!(kind, Kind::SampleEvent(_)))
        });
        story.tell("2026-01-06", "", replaced(&relabelled, &rejected));
        story.tell("2026-01-06", "", replaced(&stored, ""));
        assert_eq!(refused(&story, replaced(&rejected, &stored)), [""; 0]);
        // Others that were recorded to take each other's place hold nobody up.
        story.tell("2026-01-07", "", replaced(&two, &one));
        assert_eq!(refused(&story, replaced(&three, &one)), [""; 0]);
    }
}
