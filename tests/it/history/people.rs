//! Patients, what becomes of them, and their consent.

use anyhow::Result;
use genetrail::{
    pb::{self, ActorRole, record::Kind},
    record::format::{add_months, parse_civil_date},
};

use super::{
    convert::{
        Converter, Draft, Happening, KnownConsentVersion, document, own_code, sha256_of_hex, token,
    },
    fields::{Fields, named},
    parties::{Party, SPONSOR},
};

impl<'h> Converter<'h> {
    pub(crate) fn patient_registered(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        self.sites.insert(patient, site);
        let birth = fields.maybe_text("birth_date")?.unwrap_or_default();
        let after_birth = |months| match parse_civil_date(birth) {
            Ok(birth) => add_months(birth, months).map(|day| day.to_string()),
            // Nobody was born then, and nobody comes of age: the ledger has to refuse the day.
            Err(_) => Some(birth.to_owned()),
        };
        let (majority_months, assent_months) = self.months_of_age(patient);
        let kind = Kind::PatientRegistered(pb::PatientRegistered {
            // Supplied: the programme is the history.
            programme: token(self.scenario),
            // Supplied: there is nobody to commit to.
            identity_commitment: self.digest(&["identity", patient]),
            majority_on: after_birth(majority_months).unwrap_or_default(),
            assent_on: after_birth(assent_months).unwrap_or_default(),
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    fn patient_status(
        &mut self,
        fields: &mut Fields<'h>,
        status: pb::PatientStatus,
    ) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let kind = Kind::PatientStatus(status);
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn death(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let death = pb::Death {
            cause: fields
                .maybe_text("cause")?
                .map(|cause| own_code("cause-of-death", cause)),
            related: fields.maybe_flag("related")?,
            autopsy: None,
        };
        let status = pb::PatientStatus {
            state: pb::PatientState::Deceased.into(),
            death: Some(death),
            ..Default::default()
        };
        self.patient_status(fields, status)
    }

    pub(crate) fn lost(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let status = pb::PatientStatus {
            state: pb::PatientState::LostToFollowUp.into(),
            last_contact: fields.maybe_string("last_contact")?,
            ..Default::default()
        };
        self.patient_status(fields, status)
    }

    pub(crate) fn found(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let state = pb::PatientState::Found.into();
        self.patient_status(
            fields,
            pb::PatientStatus {
                state,
                ..Default::default()
            },
        )
    }

    pub(crate) fn transfer(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let to = Party::by_code(fields.text("to")?)?;
        let status = pb::PatientStatus {
            state: pb::PatientState::Transferred.into(),
            transferred_to: to.gln.to_owned(),
            ..Default::default()
        };
        let patient = fields.text("patient")?;
        let draft = self.patient_status(fields, status);
        self.sites.insert(patient, to);
        draft
    }

    pub(crate) fn consent_version(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Vec<Draft>> {
        let family = fields.text("family")?;
        let version = fields.text("version")?;
        let language = fields.maybe_text("language")?.unwrap_or("zh-CN");
        let sha256 = match fields.maybe_text("sha256")? {
            Some(hex) => sha256_of_hex(hex),
            // Supplied: the document is not told.
            None => self.digest(&["consent document", family, version]),
        };
        let class = fields.text("change_class")?;
        let earlier = self.consent_versions.entry(family).or_default();
        // Supplied: a signature of a version meets whatever an earlier one of its family asked for.
        let mut satisfies: Vec<String> = fields
            .texts("satisfies")?
            .into_iter()
            .map(str::to_owned)
            .collect();
        if satisfies.is_empty() {
            satisfies = earlier
                .iter()
                .map(|earlier| earlier.version.to_owned())
                .collect();
        }
        let supersedes = earlier.last().map(|earlier| earlier.version.to_owned());
        earlier.push(KnownConsentVersion {
            version,
            sha256: sha256.clone(),
            language,
        });
        let ordinal = earlier.len().try_into()?;
        // Supplied: the document has all eight items of the guideline, one on each page.
        let item = |item: u8| pb::ConsentItem {
            item: item.into(),
            page: item.into(),
        };
        let days = fields.maybe_count("reconsent_due_days")?;
        let change_class = named(pb::ChangeClass::from_str_name, "CHANGE_CLASS", class)?;
        // Supplied: whoever was treated must sign anew, where the history does not say who must.
        let must_sign = change_class == i32::from(pb::ChangeClass::ReconsentRequired);
        let scope = self.scope(fields)?.or(must_sign.then(everybody));
        let kind = Kind::ConsentDocumentVersion(pb::ConsentDocumentVersion {
            family: family.to_owned(),
            version: version.to_owned(),
            ordinal,
            language: language.to_owned(),
            // Supplied: one document for all who sign.
            audience: pb::ConsentAudience::Adult.into(),
            document: Some(document(sha256)),
            items: (1..=8).map(item).collect(),
            change_class,
            change_summary: fields.maybe_string("change_summary")?,
            scope,
            reconsent_due: days.map(|days| pb::ReconsentDue {
                due: Some(pb::reconsent_due::Due::Days(days)),
                before_next_procedure: false,
            }),
            trigger: self.trigger(fields)?,
            satisfies,
            supersedes: supersedes.unwrap_or_default(),
            ..Default::default()
        });
        let mut drafts = vec![Draft::new(SPONSOR, ActorRole::SponsorMed, kind).decided()];
        for (site, effective) in site_effective(fields)? {
            let activated = pb::ConsentVersionActivated {
                version: Some(consent_key(family, version)),
                site: site.gln.to_owned(),
                iec_number: iec_number(site, family, version),
                iec_approved_on: at.date.to_string().min(effective.to_owned()),
                effective_from: effective.to_owned(),
                ..Default::default()
            };
            let kind = Kind::ConsentVersionActivated(activated);
            drafts.push(Draft::new(SPONSOR, ActorRole::SponsorMed, kind).decided());
        }
        Ok(drafts)
    }

    pub(crate) fn consent_signed(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let (family, version) = (fields.text("family")?, fields.text("version")?);
        let versions = self.consent_versions.get(family).into_iter().flatten();
        let known = versions.into_iter().find(|known| known.version == version);
        let signatory = fields.text("signatory")?;
        let kind = Kind::ConsentSigned(pb::ConsentSigned {
            version: Some(consent_key(family, version)),
            document_sha256: known.map(|known| known.sha256.clone()).unwrap_or_default(),
            language: known
                .map(|known| known.language.to_owned())
                .unwrap_or_default(),
            signatory: named(pb::Signatory::from_str_name, "SIGNATORY", signatory)?,
            relation: relation(signatory),
            // Supplied: with ink, discussed on that day by the site's actor, a copy given.
            method: pb::ConsentMethod::WetInk.into(),
            discussed_by: site.actor.to_owned(),
            discusser_signed_on: at.date.to_string(),
            copy_given: Some(true),
            ..Default::default()
        });
        self.consents.insert(patient, self.record_id(at.seq, 0));
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn consent_declined(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let signatory = fields.text("signatory")?;
        let kind = Kind::ConsentDeclined(pb::ConsentDeclined {
            version: Some(consent_key(fields.text("family")?, fields.text("version")?)),
            signatory: named(pb::Signatory::from_str_name, "SIGNATORY", signatory)?,
            relation: relation(signatory),
            discussed_by: site.actor.to_owned(),
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn withdrawal(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let mut scopes = Vec::new();
        for scope in fields.texts("scope")? {
            scopes.push(named(
                pb::WithdrawalScope::from_str_name,
                "WITHDRAWAL_SCOPE",
                scope,
            )?);
        }
        for (still_allowed, scope) in [
            (
                "allows_record_followup",
                pb::WithdrawalScope::RecordFollowup,
            ),
            ("allows_contact", pb::WithdrawalScope::Contact),
        ] {
            if fields.maybe_flag(still_allowed)? == Some(false) && !scopes.contains(&scope.into()) {
                scopes.push(scope.into());
            }
        }
        // Supplied: the patient withdrew, in person.
        let signatory = fields.maybe_text("signatory")?.unwrap_or("SELF");
        let instruction = fields.maybe_text("sample_instruction")?.map(|instruction| {
            named(
                pb::SampleInstruction::from_str_name,
                "SAMPLE_INSTRUCTION",
                instruction,
            )
        });
        let kind = Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
            scopes,
            withdrawn_by: named(pb::Signatory::from_str_name, "SIGNATORY", signatory)?,
            relation: relation(signatory),
            sample_instruction: instruction.transpose()?.unwrap_or_default(),
            family: fields.maybe_string("family")?,
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn risk_notification(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        // Supplied: a letter, where the history has another channel than there are, or none.
        let channel = fields.maybe_text("channel")?.unwrap_or("LETTER");
        let channel = named(
            pb::NotificationChannel::from_str_name,
            "NOTIFICATION_CHANNEL",
            channel,
        );
        // Supplied: of the latest signal, where the history does not say of which.
        let signal = fields.maybe_text("signal")?.unwrap_or(self.latest_signal);
        let cause = pb::trigger::Cause::SignalId(signal.to_owned());
        let kind = Kind::RiskNotification(pb::RiskNotification {
            trigger: Some(pb::Trigger { cause: Some(cause) }),
            // Supplied: to the patient, and nothing is known yet of what became of it.
            recipient: pb::NotificationRecipient::Patient.into(),
            outcome: pb::NotificationOutcome::Sent.into(),
            channel: channel.unwrap_or(pb::NotificationChannel::Letter.into()),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    /// What set a version off.
    pub(crate) fn trigger(&self, fields: &mut Fields<'h>) -> Result<Option<pb::Trigger>> {
        let signal = fields.maybe_string("trigger_signal")?;
        let recall = fields.maybe_string("trigger_recall")?;
        let cause = match (signal.as_str(), recall.as_str()) {
            ("", "") => match self.communication(fields.value("trigger_communication")) {
                none if none.is_empty() => return Ok(None),
                communication => pb::trigger::Cause::Communication(communication),
            },
            ("", _) => pb::trigger::Cause::RecallId(recall),
            _ => pb::trigger::Cause::SignalId(signal),
        };
        Ok(Some(pb::Trigger { cause: Some(cause) }))
    }

    /// Whom a version concerns.
    pub(crate) fn scope(&self, fields: &mut Fields<'h>) -> Result<Option<pb::CohortScope>> {
        if fields.is_text("scope", "all_treated") {
            fields.value("scope");
            return Ok(Some(everybody()));
        }
        let Some(mut scope) = fields.maybe_fields("scope")? else {
            return Ok(None);
        };
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let lots = scope.texts("descendants_of_lot")?;
        let glns: Result<Vec<_>> = scope
            .texts("sites")?
            .into_iter()
            .chain(scope.texts("site")?)
            .map(|code| Party::by_code(code).map(|site| site.gln.to_owned()))
            .collect();
        let cohort = pb::CohortScope {
            all_treated: scope.maybe_flag("all_treated")?.unwrap_or(false),
            product_ids: owned(scope.texts("product")?),
            descendants_of: lots
                .into_iter()
                .map(|lot| self.lot_key(lot, None))
                .collect(),
            sites: glns?,
            enrolled_before: scope.maybe_string("enrolled_before")?,
            patients: owned(scope.texts("patients")?),
            ..Default::default()
        };
        scope.finish()?;
        Ok(Some(cohort))
    }
}

/// Whoever was treated.
fn everybody() -> pb::CohortScope {
    pb::CohortScope {
        all_treated: true,
        ..Default::default()
    }
}

/// The days on which a version becomes effective, by site.
pub(crate) fn site_effective<'h>(
    fields: &mut Fields<'h>,
) -> Result<Vec<(&'static Party, &'h str)>> {
    let mut sites = Vec::new();
    if let Some(mut effective) = fields.maybe_fields("site_effective")? {
        for code in effective.names() {
            // A day that does not exist is for the ledger to refuse.
            let date = effective.maybe_text(code)?.unwrap_or_default();
            sites.push((Party::by_code(code)?, date));
        }
    }
    Ok(sites)
}

/// Supplied: the ethics committee's number; it approved on the day of the event, or on the effective day
/// where that is earlier.
pub(crate) fn iec_number(site: &Party, document: &str, version: &str) -> String {
    format!("IEC-{}-{document}-{version}", site.code)
}

pub(crate) fn consent_key(family: &str, version: &str) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: family.to_owned(),
        version: version.to_owned(),
    }
}

/// Supplied: a representative is a parent.
fn relation(signatory: &str) -> Option<pb::Code> {
    (signatory == "LAR").then(|| pb::Code {
        system: "http://terminology.hl7.org/CodeSystem/v3-RoleCode".to_owned(),
        code: "PRN".to_owned(),
        display: "parent".to_owned(),
        ..Default::default()
    })
}
