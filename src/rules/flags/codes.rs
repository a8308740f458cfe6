//! The codes of the flags that a record raises by itself. They are API: `docs/flags.md` is this list, and a
//! code that was given out is never given another meaning.

use super::FlagRule;
use crate::pb::Severity;

macro_rules! rules {
    ($($severity:ident { $($code:ident: $text:literal,)* })*) => {
        $($(
            #[doc = $text]
            pub const $code: FlagRule = FlagRule {
                code: stringify!($code),
                severity: Severity::$severity,
                text: $text,
            };
        )*)*

        /// All of them.
        pub const ALL: &[FlagRule] = &[$($($code,)*)*];
    };
}

rules! {
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
        FOLLOW_UP_BELOW_GUIDELINE: "the product's patients are followed for less time than the guideline asks of its class: record the decision and the communication with the regulator",
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
        RECONSENT_DUE_MISSING: "patients must sign anew and no deadline is set",
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
        LINKED_CONSENT_MISSING: "no consent version explains the plan version: name it",
        COMMUNICATION_MISSING: "the follow-up gets longer and no communication with the regulator is on record: record it",
        INCOMPLETE_VISIT: "the visit lacks a content block that the guideline asks for",
        BLOCK_NOT_DONE: "a content block of the visit was not done: make it up, and see that the reason is recorded",
        MUTAGENIC_EXPOSURE: "the patient was exposed to something that harms genes: weigh it in later findings",
        SURROGATE_UNJUSTIFIED: "the sample stands for another tissue and nothing says why it may",
        METHOD_UNVALIDATED: "the method lacks a part of its validation: limit of detection, sensitivity, specificity, reproducibility or report",
        LOD_MISSING: "no vector was detected and nothing says how little would have been: give the limit of detection",
        FRACTION_WITHOUT_FINDING: "more cells bear the vector than expected and the findings do not say so",
        ABOVE_EXPECTED: "more cells bear the vector than expected: look at clonality",
        OFF_TARGET_EXCESS: "more was edited off target than expected",
        DATABASE_VERSION_MISSING: "the integration site was compared with a database whose version is not said",
        NEW_MALIGNANCY_WITHOUT_SAMPLE: "a new malignancy is recorded without a sample: sample it and test it for the transgene",
        EVIDENCE_MISSING: "the judgement of causality rests on nothing that is recorded",
        REPORT_LATE: "the report was submitted after the day it was due",
        STOCK_UNACCOUNTED: "some of the lot is neither used, returned, destroyed nor held: find it",
        STOCK_EXCEEDS: "more of the lot is accounted for than was shipped: count again",
        PATIENT_ACTION_MISSING: "a recalled lot was given to patients and nothing is done for them",
    }
    Critical {
        COI_VERIFICATION_MISMATCH: "the product and the person are not of one chain of identity: do not give it; find out why",
        COI_RESULT_CONTRADICTED: "the identifiers are called a match, but they are not, or one could not be read: do not give the product; verify again",
        COI_VERIFICATION_MISSING: "a product with a chain of identity was given and no verification is named: name it, or find out whether there was one",
        INITIAL_CONSENT_INCOMPLETE: "the first version of a consent document lacks an item that the guideline asks for: make a new version before anybody signs",
        LOOSER_THAN_GUIDELINE: "the plan asks for less than the guideline, and the justification or the communication with the regulator is missing",
        LESS_MONITORING_UNCOMMUNICATED: "the monitoring becomes less and no communication with the regulator is on record: record it, or undo the decision",
        CONTROL_FAILED: "a control of the run failed, and the result is not called invalid: repeat the run",
        CLONAL_GROWTH: "a clone dominates or grows: test again within three months, and look for the integration site",
        NEAR_ONCOGENE: "the vector has integrated near an oncogene: sample more often, and watch for malignancy",
        RCL_POSITIVE: "replication-competent virus was found: report it now",
        SUSPECTED_RCL: "replication-competent virus is suspected: test for it",
        WRONG_PATIENT: "a record was about another patient: find out what was done to both because of it",
    }
}
