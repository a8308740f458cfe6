//! `genetrail plan-template`: a follow-up plan with the guideline's numbers, for the sponsor to complete. Needs
//! neither a server nor a ledger.

use clap::ValueEnum;
use prost::Message as _;

use super::{Outcome, complain, record_json, say};
use crate::{
    pb::ProductClass,
    rules::template::{self, BLANK, BLANK_NUMBER, Template},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the product is; of several, the strictest wins.
    #[arg(
        long = "class",
        value_name = "CLASS",
        required = true,
        value_delimiter = ','
    )]
    classes: Vec<Class>,
}

/// The classes, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Class {
    Plasmid,
    Rna,
    NonintegratingViral,
    Aav,
    Adeno,
    Pox,
    Gammaretro,
    Lenti,
    OtherRetro,
    Transposon,
    Herpes,
    Bacterial,
    /// In the body or outside of it: the guideline asks for the same.
    GeneEdited,
    Oncolytic,
    /// Say also what modified the cells.
    CellExVivo,
}

impl From<Class> for ProductClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Plasmid => Self::Plasmid,
            Class::Rna => Self::Rna,
            Class::NonintegratingViral => Self::NonintegratingViral,
            Class::Aav => Self::Aav,
            Class::Adeno => Self::Adeno,
            Class::Pox => Self::Pox,
            Class::Gammaretro => Self::Gammaretro,
            Class::Lenti => Self::Lenti,
            Class::OtherRetro => Self::OtherRetro,
            Class::Transposon => Self::Transposon,
            Class::Herpes => Self::Herpes,
            Class::Bacterial => Self::Bacterial,
            Class::GeneEdited => Self::GeneEditedExVivo,
            Class::Oncolytic => Self::Oncolytic,
            Class::CellExVivo => Self::CellExVivo,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let classes: Vec<ProductClass> = arguments.classes.iter().copied().map(Into::into).collect();
    let template = template::plan(&classes);
    say!("{}", printed(&template)?)?;
    complain(format_args!(
        "To be filled in, where the plan says {BLANK}:"
    ));
    for blank in &template.blanks {
        complain(format_args!("  {}: {}", blank.path, blank.what));
    }
    complain(format_args!(
        "Left out, and yours to add: the guide for those who record (recordingGuide, A-26), visit slots and \
         windows. The id of the record is given by `genetrail record`."
    ));
    Ok(Outcome::Fine)
}

/// The template in proto3 JSON. Where a number is to be filled in stands a text, so that the file is no record
/// until it is.
fn printed(template: &Template) -> anyhow::Result<String> {
    let json = record_json::to_json(&template.record.encode_to_vec())?;
    Ok(json.replace(&format!(": {BLANK_NUMBER}"), &format!(": \"{BLANK}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_template_is_no_record_until_its_numbers_are_filled_in() {
        for class in Class::value_variants() {
            let printed = printed(&template::plan(&[(*class).into()])).unwrap();
            assert!(record_json::parse(&printed).is_err(), "{class:?}");
            let numbers: Vec<_> = printed
                .lines()
                .map(|line| {
                    let is_number = line.contains("Months\"")
                        || line.contains("Days\"")
                        || line.contains("months\"");
                    if is_number {
                        line.replace(&format!("\"{BLANK}\""), "24")
                    } else {
                        line.to_owned()
                    }
                })
                .collect();
            record_json::parse(&numbers.join("\n")).unwrap();
            assert!(!printed.contains(&BLANK_NUMBER.to_string()), "{class:?}");
        }
    }
}
