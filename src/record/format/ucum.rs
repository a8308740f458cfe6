//! Units of measure: whether a text is an expression of the Unified Code for Units of Measure (UCUM, case
//! sensitive) over the atoms that clinics and laboratories use. Does not convert, and computes no dates: a
//! UCUM month is 30.4375 days.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{FormatError, demand};

/// A UCUM unit: `10*6/kg`, `{vg}/kg`, `mm[Hg]`.
pub fn check_ucum(text: &str) -> Result<(), FormatError> {
    demand(
        !text.is_empty(),
        "UCUM_EMPTY",
        "give the unit; write 1 for a plain number",
    )?;
    demand(
        text.len() <= 64,
        "UCUM_TOO_LONG",
        "a unit has at most 64 characters",
    )?;
    let wrong = FormatError::new(
        "UCUM_SYNTAX",
        "write units of UCUM joined by . and /, exponents as digits after the unit, counts in braces such as {cells}/uL",
    );
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong);
    }
    // 64 characters bound the depth of the parentheses.
    let rest = main_term(text)?;
    demand(rest.is_empty(), wrong.rule, wrong.remedy)
}

/// `/a.b/c` or `a.b/c`; answers what is left of the text.
fn main_term(text: &str) -> Result<&str, FormatError> {
    term(text.strip_prefix('/').unwrap_or(text))
}

fn term(text: &str) -> Result<&str, FormatError> {
    let mut rest = component(text)?;
    while let Some(next) = rest.strip_prefix(['.', '/']) {
        rest = component(next)?;
    }
    Ok(rest)
}

/// A unit with exponent and annotation, an annotation alone, a number, or a term in parentheses.
fn component(text: &str) -> Result<&str, FormatError> {
    if let Some(inner) = text.strip_prefix('(') {
        let rest = term(inner)?;
        return rest.strip_prefix(')').ok_or(PARENTHESIS);
    }
    if text.starts_with('{') {
        return annotation(text);
    }
    for power_of_ten in ["10*", "10^"] {
        if let Some(rest) = text.strip_prefix(power_of_ten) {
            return annotation(exponent(rest)?);
        }
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        demand(
            !text.starts_with('0'),
            "UCUM_SYNTAX",
            "a number in a unit does not begin with 0",
        )?;
        return Ok(rest);
    }
    let end = symbol_length(text);
    let (symbol, rest) = text.split_at_checked(end).unwrap_or_default();
    demand(
        is_unit(symbol),
        "UCUM_UNKNOWN_UNIT",
        "use a unit of UCUM in its case-sensitive spelling (mL, ug, Cel, [IU]), or name what is counted in \
         braces: {cells}",
    )?;
    annotation(exponent(rest)?)
}

/// Skips an annotation, if there is one.
fn annotation(text: &str) -> Result<&str, FormatError> {
    let Some(inner) = text.strip_prefix('{') else {
        return Ok(text);
    };
    let closed = inner
        .split_once('}')
        .filter(|(words, _)| !words.is_empty() && !words.contains('{'));
    closed.map(|(_, rest)| rest).ok_or(BRACES)
}

/// Skips an exponent, if there is one: at most two digits, as no unit has more.
fn exponent(text: &str) -> Result<&str, FormatError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let rest = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = unsigned.len().saturating_sub(rest.len());
    let signed = unsigned.len() < text.len();
    let fits = (usize::from(signed)..=2).contains(&digits) && !unsigned.starts_with('0');
    demand(
        fits,
        "UCUM_SYNTAX",
        "an exponent is one or two digits, with a sign if it is negative",
    )?;
    Ok(rest)
}

/// The length of the symbol that a text begins with: up to an operator, a digit or a sign outside of
/// square brackets.
fn symbol_length(text: &str) -> usize {
    let mut bracketed = false;
    let end = text.bytes().position(|byte| {
        match byte {
            b'[' => bracketed = true,
            b']' => bracketed = false,
            _ => {}
        }
        !bracketed && (byte.is_ascii_digit() || b"./(){}+-".contains(&byte))
    });
    end.unwrap_or(text.len())
}

fn is_unit(symbol: &str) -> bool {
    static UNITS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let prefixes = PREFIXES.split(' ').chain([""]);
        let metric = prefixes
            .flat_map(|prefix| METRIC.split(' ').map(move |atom| format!("{prefix}{atom}")));
        metric
            .chain(OTHER.split(' ').map(str::to_owned))
            .filter(|unit| !unit.is_empty())
            .collect()
    });
    UNITS.contains(symbol)
}

const PARENTHESIS: FormatError = FormatError::new("UCUM_SYNTAX", "close the parenthesis");
const BRACES: FormatError = FormatError::new(
    "UCUM_SYNTAX",
    "close the braces, and put words in them: {cells}",
);

const PREFIXES: &str = "Q R Y Z E P T G M k h da d c m u n p f a z y r q Ki Mi Gi Ti";

/// Atoms that take a prefix.
const METRIC: &str = "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv l L ar t b \
    bar u eV pc dyn erg P St G Ci R RAD REM kat U [iU] [IU] eq osm g% cal cal_th cal_IT m[H2O] m[Hg] Np B \
    B[SPL] B[V] bit By Bd";

/// Atoms that take none: customary, counted and arbitrary units.
const OTHER: &str = "% [ppth] [ppm] [ppb] [pptr] [pi] gon deg ' '' circ sph Ao atm att min h d wk mo mo_s \
    mo_j mo_g a a_t a_j a_g [degF] [in_i] [ft_i] [yd_i] [sin_i] [sft_i] [cin_i] [gal_us] [qt_us] [pt_us] \
    [foz_us] [tbs_us] [tsp_us] [cup_us] [foz_m] [tbs_m] [tsp_m] [cup_m] [gr] [oz_av] [lb_av] [psi] [Cal] \
    [drp] [diop] [Ch] [in_i'Hg] [in_i'H2O] [pH] [MET] [PRU] [wood'U] [HPF] [LPF] [bp] [CFU] [PFU] [FFU] \
    [BAU] [AU] [CCID_50] [TCID_50] [EID_50] [Lf] [PNU] [ELU] [EU] [FEU] [arb'U] [USP'U] [GPL'U] [MPL'U] \
    [APL'U] [beth'U] [anti'Xa'U] [todd'U] [dye'U] [smgy'U] [bdsk'U] [ka'U] [knk'U] [mclg'U] [tb'U] \
    [D'ag'U] [hnsf'U] [Amb'a'1'U]";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_units_of_the_field_are_units() {
        let of_the_record_model = "{cells} 10*6/kg {vg}/kg {vg} [PFU] mL Cel % {copies}/ug {copies}/{cell} \
            ng/mL kg a mo d min 10*6";
        let of_clinics_and_laboratories = "g L l mol [IU] [iU] U m s h wk Pa kPa mm[Hg] meq/L mosm/kg [CFU]/mL \
            [TCID_50]/mL [arb'U] Gy MBq [degF] 10^6 10* 10*-3 1 100 m2 mg/m2 mL/min \
            mL/min/{1.73_m2} cm[H2O] ug/kg/min k[IU]/L m[iU]/mL /uL 10*3/uL 10*9/L \
            {vg}/mL 10*13{vg}/kg kg.m/s2 (mg/kg)/d (a.b) umol/L mol/(L.s) kat/L s-1 m+2 \
            dB [lb_av] g{creat} {CAR+_cells}/kg [bp] eq [pH] [in_i'H2O] %{viable} \
            10*6{cells}/kg";
        for unit in of_the_record_model
            .split(' ')
            .chain(of_clinics_and_laboratories.split(' '))
        {
            assert_eq!(check_ucum(unit), Ok(()), "{unit}");
        }
    }

    #[test]
    fn what_is_not_a_unit_of_ucum_is_refused() {
        for unit in [
            "IU", "cells", "vg/kg", "ML/x", "KG", "Kg", "mcg", "cc", "hr", "sec", "days", "month",
            "mmHg", "celsius", "kmin", "k[PFU]", "da", "[iu]", "[IU", "[]", "mL/", "mL//kg",
            "//kg", ".kg", "m.", "()", "*", "-1",
        ] {
            assert_eq!(
                check_ucum(unit).map_err(|error| error.rule),
                Err("UCUM_UNKNOWN_UNIT"),
                "{unit:?}"
            );
        }
    }

    #[test]
    fn what_is_not_the_grammar_of_ucum_is_refused() {
        assert_eq!(
            check_ucum("").map_err(|error| error.rule),
            Err("UCUM_EMPTY")
        );
        for unit in [
            "[PFU] [CFU]",
            "(mL",
            "mL)",
            "{",
            "{}",
            "{cells",
            "{a{b}}",
            "{cells}/kg}",
            "{cells}kg",
            "{a}{b}",
            "m-",
            "m+",
            "m0",
            "m123",
            "m2s",
            "0",
            "2kg",
            "10**6",
            "10*6*3",
            "mL kg",
            "µg",
            "°C",
            "m²",
            "{copies}\u{2215}ug",
        ] {
            assert_eq!(
                check_ucum(unit).map_err(|error| error.rule),
                Err("UCUM_SYNTAX"),
                "{unit:?}"
            );
        }
        assert!(check_ucum(&"(".repeat(64)).is_err());
        assert_eq!(check_ucum(&format!("{{{}}}", "c".repeat(62))), Ok(()));
        assert!(check_ucum(&format!("{{{}}}", "c".repeat(63))).is_err());
    }

    proptest! {
        #[test]
        fn units_multiply_and_divide(
            units in prop::collection::vec(
                prop::sample::select(vec!["mL", "kg", "{vg}", "10*6", "m2", "[IU]", "(g.m)", "%", "s-1"]), 1..8),
            operator in "[./]",
        ) {
            prop_assert_eq!(check_ucum(&units.join(&operator)), Ok(()));
            let open = units.join(&operator) + &operator;
            prop_assert!(check_ucum(&open).is_err());
        }
    }
}
