//! The codes of flags. They are API: `docs/flags.md` is this list, and a code that was given out is never
//! given another meaning.

use super::FlagRule;
use crate::pb::Severity;

macro_rules! rules {
    ($(#[$doc:meta])* $list:ident: $($severity:ident {
        $($code:ident $([$($basis:literal),+])?: $text:literal,)*
    })*) => {
        $($(
            #[doc = $text]
            pub const $code: FlagRule = FlagRule {
                code: stringify!($code),
                severity: Severity::$severity,
                text: $text,
                basis: &[$($($basis),+)?],
            };
        )*)*

        $(#[$doc])*
        pub const $list: &[FlagRule] = &[$($($code,)*)*];
    };
}

rules! {
    /// What a record raises by itself.
    ALONE:
    Info {
        CLIENT_CLOCK_SKEW: "the sender's clock and the ledger's are more than five minutes apart: set the sender's",
        PRECISION_TOO_COARSE: "the event is less precisely known than records of its kind ask: record the precise time when it is found",
        RISK_UNKNOWN: "whether the product has this risk factor is not known: register the product again when it is",
        EXPIRY_NEAR: "the lot expires within 30 days of being recorded",
        CONSENT_NOT_NAMED: "no consent is named: name the record of the signature",
        DONOR_TESTS_MISSING: "no test of the donor is recorded: record them",
        LOST_WITHOUT_ATTEMPT: "the patient was given up as lost and no attempt is recorded: record the attempts",
        TRANSFER_SITE_MISSING: "the patient was transferred and the new site is not named: name it",
        CAUSE_OF_DEATH_MISSING: "the cause of death is not recorded: record it when it is known",
        COVARIATES_MISSING: "nothing is said of what confounds the analysis: life expectancy, other diseases, radio- or chemotherapy",
        NOT_REACHED: "the patient was not reached: try again",
        RELABELLED_WITHOUT_NEW_ID: "the sample bears another label and its id is not said: record it",
        LOT_MISSING: "no lot is under suspicion by name: name the lots that the patient received",
        DOCUMENT_MISSING: "the document is not named: give its hash",
    }
    Deviation {
        IDENTIFIER_UNVERIFIED: "the label could not be read with certainty: verify the identifier by other means, and record how",
        SOURCE_DOC_MISSING: "the record was copied from a document that is not named: give its hash, or a reason",
        QUALIFICATION_MISSING: "an investigator has no qualification on record: give the document's hash",
        FOLLOW_UP_BELOW_GUIDELINE ["R-D3"]: "the product's patients are followed for less time than the guideline asks of its class: record the decision and the communication with the regulator",
        FOLLOW_UP_BELOW_ONSET: "the product's patients are followed for less time than a delayed reaction may take: record the decision",
        SEC_EXPIRY_DIFFERS: "the Single European Code says another day of expiry than the lot: find out which is right",
        CERTIFICATE_MISSING: "the lot was released and no certificate is named: give its hash",
        DESTRUCTION_UNWITNESSED: "nobody is named who saw the destruction",
        DONOR_TEST_POSITIVE: "a test of the donor found an infection: assess what follows",
        BATCH_RECORD_MISSING: "no batch record is named: give its hash",
        IDENTIFIER_TYPED_ALONE: "an identifier was typed once, by one person: scan it, or have a second person verify it",
        VERIFIER_TWICE: "both verifiers are one person: have a second person verify it",
        VERIFIER_ALONE: "one person alone verified the identity at the bedside: two do",
        COI_UNREADABLE: "the chain of identity could not be verified, since an identifier could not be read: verify it by other means",
        TEMPERATURE_EXCURSION: "the temperature was out of range: assess the product before it is used",
        CONDITION_NOT_CONFORMANT: "the goods did not arrive as they should: assess them before they are used",
        DISCREPANCY: "what arrived differs from the papers: find out why",
        CROSS_BORDER_UNAPPROVED: "human genetic material leaves the country and no approval is named: name it",
        CONSENT_ITEM_MISSING: "the consent document lacks an item that the guideline asks for",
        TRIGGER_MISSING: "patients must sign anew and nothing says why: name the signal, recall, plan or communication",
        RECONSENT_DUE_MISSING ["R-K4"]: "patients must sign anew and no deadline is set",
        RECONSENT_DUE_LONG: "patients have more than a year to sign anew",
        COPY_NOT_GIVEN: "the signatory received no copy: give one",
        DISCUSSER_MISSING: "nobody is named who discussed the consent",
        SIGNATURE_DATES_DIFFER: "the signatory and the discusser signed on different days",
        WITNESS_MISSING: "consent was given by word and no witness is named",
        AUTHORITY_DOCUMENT_MISSING: "nothing shows that the representative may sign: give the document's hash",
        SIGNED_DOCUMENT_MISSING: "the signed document is not named: give its hash",
        NOTIFICATION_BOUNCED: "the notification came back: notify by another channel",
        SECOND_CHECKER_MISSING: "nobody checked the administration beside the performer",
        SECOND_CHECKER_SAME_PERSON: "the performer is the second checker: two people do",
        WEIGHT_MISSING: "the dose is per kg and the weight is not recorded: record it",
        PLAN_BLOCK_EMPTY: "the first version of a plan says nothing of its schedule, samples, methods or target events",
        LINKED_CONSENT_MISSING ["R-P1"]: "no consent version explains the plan version: name it",
        COMMUNICATION_MISSING ["R-A4"]: "the follow-up gets longer and no communication with the regulator is on record: record it",
        BLOCK_NOT_DONE ["R-V3"]: "a content block of the visit was not done: make it up, and see that the reason is recorded",
        MUTAGENIC_EXPOSURE: "the patient was exposed to something that harms genes: weigh it in later findings",
        SURROGATE_UNJUSTIFIED: "the sample stands for another tissue and nothing says why it may",
        METHOD_UNVALIDATED: "the method lacks a part of its validation: limit of detection, sensitivity, specificity, reproducibility or report",
        LOD_MISSING: "no vector was detected and nothing says how little would have been: give the limit of detection",
        FRACTION_WITHOUT_FINDING: "more cells bear the vector than expected and the findings do not say so",
        ABOVE_EXPECTED ["R-C3"]: "more cells bear the vector than expected: look at clonality",
        OFF_TARGET_EXCESS: "more was edited off target than expected",
        DATABASE_VERSION_MISSING: "the integration site was compared with a database whose version is not said",
        NEW_MALIGNANCY_WITHOUT_SAMPLE: "a new malignancy is recorded without a sample: sample it and test it for the transgene",
        EVIDENCE_MISSING: "the judgement of causality rests on nothing that is recorded",
        REPORT_LATE: "the report was submitted after the day it was due",
        STOCK_UNACCOUNTED ["R-L3"]: "some of the lot is neither used, returned, destroyed nor held: find it",
        STOCK_EXCEEDS ["R-L3"]: "more of the lot is accounted for than was shipped: count again",
        PATIENT_ACTION_MISSING: "a recalled lot was given to patients and nothing is done for them",
    }
    Critical {
        COI_VERIFICATION_MISMATCH: "the product and the person are not of one chain of identity: do not give it; find out why",
        COI_RESULT_CONTRADICTED: "the identifiers are called a match, but they are not, or one could not be read: do not give the product; verify again",
        COI_VERIFICATION_MISSING: "a product with a chain of identity was given and no verification is named: name it, or find out whether there was one",
        INITIAL_CONSENT_INCOMPLETE: "the first version of a consent document lacks an item that the guideline asks for: make a new version before anybody signs",
        LOOSER_THAN_GUIDELINE: "the plan asks for less than the guideline, and the justification or the communication with the regulator is missing",
        LESS_MONITORING_UNCOMMUNICATED ["R-A4"]: "the monitoring becomes less and no communication with the regulator is on record: record it, or undo the decision",
        CONTROL_FAILED: "a control of the run failed, and the result is not called invalid: repeat the run",
        CLONAL_GROWTH ["R-C1", "R-C2"]: "a clone dominates or grows: test again within three months, and look for the integration site",
        NEAR_ONCOGENE ["R-C2"]: "the vector has integrated near an oncogene: sample more often, and watch for malignancy",
        RCL_POSITIVE: "replication-competent virus was found: report it now",
        SUSPECTED_RCL ["R-R1"]: "replication-competent virus is suspected: test for it",
        WRONG_PATIENT: "a record was about another patient: find out what was done to both because of it",
    }
}

rules! {
    /// What a record raises together with others, or for want of them.
    ACROSS:
    Info {
        LATE_RECORDING: "it was recorded long after it happened: say why",
        LATE_REASON_MISSING: "it was recorded late and nothing says why",
        DANGLING: "a record that it names is not known here: record it, or correct the name",
        SUSPECTED_DUPLICATE: "another record says the same of the same moment: if both tell of one thing, correct one as a duplicate",
        DISPUTED: "one site corrects what another recorded: a dispute, for both to settle, unless it was delegated",
        UNKNOWN_PATIENT: "the patient is not registered: register the patient, or correct the pseudonym",
        UNKNOWN_SITE: "the site is not registered: register it, or correct its GLN",
        UNKNOWN_ACTOR: "the actor is not registered: register the actor, or correct its id",
        UNKNOWN_SAMPLE: "no collection of the sample is recorded: record it, or correct the sample's id",
        UNKNOWN_METHOD: "the method is not registered, so nobody knows whether it is validated: register it",
        UNKNOWN_RECALL: "the recall is not recorded: record it, or correct its id",
        UNKNOWN_CASE: "the adverse event is not recorded: record it, or correct the case's id",
        UNKNOWN_SIGNAL: "the risk signal is not recorded: record it, or correct its id",
        SHIPMENT_WITHOUT_RECEIPT: "the goods have left and their arrival is not recorded: record it, or find them",
        POSSIBLE_DUPLICATE: "the person is registered under another pseudonym as well: merge the two, or say that they are two people",
        DUPLICATE_GLN: "the GLN is registered already, and otherwise: the later record holds; see that it is right",
        END_DATE_DIFFERS ["R-D3"]: "the end of follow-up that was claimed is not the one that the rules give: correct it where it was claimed",
        AFTER_LOST_TO_FOLLOW_UP: "the patient was given up as lost before this: record that the patient is found",
        ONSET_BEFORE_ADMINISTRATION: "it began before the product was given: see that the day and the patient are right",
    }
    Deviation {
        UNKNOWN_LOT: "the lot is not registered: register it, or correct its GTIN and number",
        UNKNOWN_PRODUCT: "the product is not registered: register it, or correct its GTIN or id",
        UNKNOWN_INPUT ["R-L1"]: "what went in is not registered: register the lot or record the collection, or the trace ends here",
        CONSENT_VERSION_UNKNOWN ["R-K1"]: "the consent version is not recorded: record it, or correct its key",
        UNKNOWN_PLAN: "the plan, or this version of it, is not recorded: record it, or correct its key",
        LOT_NOT_RELEASED: "the lot was not released by then: find out who let it go",
        LOT_OOS_UNJUSTIFIED: "the lot is out of specification and nothing says why this patient received it: record the justification",
        INPUT_NOT_USABLE: "what went in was rejected, quarantined, recalled or expired by then: assess what came of it",
        DISPOSITION_AFTER_ADMINISTRATION: "the lot had been given to a patient by then: assess what it means for the patient",
        TRACE_CODES_MISSING: "a product on the market in China has no NMPA trace code: record its codes",
        RECEIPT_WITHOUT_SHIPMENT: "goods arrived that nobody recorded as sent: find out where they came from",
        QUANTITY_MISMATCH: "what arrived is not what was sent: find out why",
        LOGGER_MISSING: "a frozen product arrived and nothing tells its temperatures: find the logger's file",
        TEMPERATURE_OUT_OF_RANGE: "it was warmer or colder than the lot may be kept: assess it before it is used",
        COUNTERSIGNATURE_MISSING: "the other side has not signed in time: have it countersigned",
        DOSE_DIFFERS: "the dose that was given differs from the planned one by more than the plan allows: say why",
        OUT_OF_STORAGE_TOO_LONG: "the product was out of storage for longer than the plan allows: assess it",
        CONSENT_VERSION_NOT_EFFECTIVE ["R-K1", "R-K3"]: "the version was not in force at the site when it was signed: have it signed again",
        CONSENT_VERSION_SUPERSEDED ["R-K3"]: "a later version was in force at the site: have the later one signed",
        WRONG_LANGUAGE ["R-K3"]: "there is no such version in the language it was discussed in: have it signed in a language that the patient understands",
        CONSENT_DOCUMENT_UNKNOWN ["R-K3"]: "the document that was signed is none of the version's: find out what was signed, and have the right one signed",
        SIGNATORY_NOT_AUTHORISED ["R-K3", "R-M1"]: "who signed may not decide for the patient on that day: have it signed by who may",
        ASSENT_MISSING ["R-M2"]: "a child of that age assents too: ask the child",
        DISCUSSER_NOT_DELEGATED: "who discussed the consent is neither an investigator nor delegated to: record the delegation, or discuss it again",
        CONSENT_ITEM_LACKING: "the consent version does not speak of samples or of genetic testing, for which this was taken: have a version signed that does",
        LATE_RECONSENT ["R-K4"]: "the patient signed anew after the deadline",
        LATE_MAJORITY_CONSENT ["R-M1"]: "the patient, of age by now, signed after the deadline",
        LATE_ASSENT ["R-M2"]: "the child assented after the deadline",
        LATE_SAMPLE ["R-D2", "R-S1"]: "the sample was taken after it was due",
        LATE_RESULT: "the result was issued later than the plan allows after the sample was taken",
        VISIT_OUT_OF_WINDOW ["R-V1"]: "the visit was held before or after its window",
        INCOMPLETE_VISIT ["R-V3"]: "the visit lacks a content block that the guideline asks for",
        PHONE_INSTEAD_OF_VISIT ["R-V1"]: "the plan asks for a visit in this period, and the patient was only called or written to",
        FEW_ATTEMPTS: "the patient was given up as lost after fewer attempts than the plan asks for: try again",
        PLAN_NOT_LATEST ["R-E2"]: "the plan version is not the one in force at the site: enrol in the one that is",
        SAMPLES_NOT_DESTROYED: "consent to keeping samples was withdrawn, and they are not all destroyed in time: destroy them and record it",
        VOLUME_EXCEEDED: "more was taken out of the sample than was in it: measure again",
        RESULT_ON_REJECTED_SAMPLE: "the sample was rejected or destroyed before the result: have it confirmed on another sample",
        DOMINANT_CLONE_UNSAID: "the largest clone is above the plan's threshold and the findings do not say so: look at clonality",
        ASSESSMENT_MISSING: "a serious event was not assessed in time: assess its cause",
        EVENT_UNCODED: "the event was not coded in time: code it",
        CONTRADICTS_STATUS: "what was recorded of the patient at a later day contradicts this state: find out which is right",
        GTIN_ON_TWO_PRODUCTS: "the GTIN is another product's as well: a lot of it cannot be told apart; correct one",
        ORDINAL_GAP: "a version is missing between this and the one before: record it",
        DOCUMENT_SEEN_BEFORE: "the document is that of another version: give the document of this one",
        TRANSLATION_WITHOUT_SOURCE: "the version that it is a translation of is not recorded: record it",
        PLAN_BELOW_ONSET: "the plan ends before the latest day on which a delayed reaction is expected: make it longer, or record why not",
        PLAN_BEFORE_CONSENT ["R-P1"]: "the plan version takes effect at the site before the consent version that explains it",
        RISK_CHANGED_WITHOUT_PLAN: "the product's risks are judged otherwise than before, and the plan was not looked at: make a plan version, or record that none is needed",
        ONE_TISSUE_PLAN ["R-V5"]: "genes are edited throughout the body, and the plan looks at the target tissue only: add other tissues",
        SIGNAL_WITHOUT_ACTION ["R-AE2"]: "the risk has changed, and neither consent nor plan has, in time: make the versions, or record that they are not needed",
        OLD_DIFFERS: "the correction says that the record said something else than it does: read it again, and correct it again",
        NOTICE_LATE: "the site was told of the recall later than the regulator allows",
        RESULT_ABOVE_EXPECTED_UNSAID ["R-C3"]: "more cells bear the vector than the plan or the method expects, and the findings do not say so: look at clonality",
        ROLE_NOT_HELD: "the actor does not hold the role in which it acted: correct the role, or register it",
    }
    Critical {
        EXPIRED_LOT: "the lot had expired when it was given: look after the patient, and find out why",
        QUARANTINED_LOT: "the lot was in quarantine when it was given: look after the patient, and find out why",
        RECALLED_LOT ["R-L1"]: "the lot, or one that it was made from, had been called back when it was given: look after the patient",
        REJECTED_LOT: "the lot had been rejected, returned or destroyed when it was given: find out what was given",
        COI_MISMATCH_CRITICAL: "the product was made for another patient, or is of another chain of identity: look after the patient, and find the other one's product",
        COI_VERIFICATION_UNFIT: "the verification that is named does not show that product and patient were compared at the bedside and matched: find out whether they were",
        COI_OF_TWO_PATIENTS: "one chain of identity is two patients': use nothing of it until it is clear whose it is",
        COI_OF_INPUT_DIFFERS: "what went in is of another chain of identity than what came out: use neither until it is clear whose they are",
        SECOND_DOSE: "a product that is given once was given to the patient before",
        UNIT_GIVEN_TWICE: "this unit of the lot was given before: one of the two received something else",
        NO_VALID_CONSENT ["R-K3"]: "no valid consent by then is on record: record it, or look after the patient's rights",
        TREATED_BEFORE_CONSENT ["R-K3"]: "the product was given before the patient consented",
        AFTER_WITHDRAWAL ["R-S3"]: "the patient had withdrawn from this before: find out what was done, and tell the patient",
        AFTER_DEATH: "the patient had died before this: find out which is right, and to whom it happened",
        PROCESSED_AFTER_WITHDRAWAL: "the sample was kept or used after consent to that was withdrawn: stop, and tell the patient",
    }
}
