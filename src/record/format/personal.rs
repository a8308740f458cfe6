//! Free text, and what must never be in it: numbers and addresses that lead to a person. A pattern can only
//! find what has a shape - identity numbers, telephones, e-mail addresses, labelled patient numbers - and
//! knows no names. It leaves alone what the field writes all day: lots, GTINs, doses, dates, codes, hashes.

use chrono::NaiveDate;

use super::{FormatError, demand, gs1};

/// Free text of at most so many characters, without control characters and without personal data.
pub fn check_free_text(text: &str, max_chars: usize) -> Result<(), FormatError> {
    demand(
        text.chars().count() <= max_chars,
        "TEXT_TOO_LONG",
        "shorten the text to what the field allows",
    )?;
    demand(
        !text.chars().any(is_control),
        "TEXT_CONTROL_CHARACTER",
        "remove control characters; only line feeds and tabs are kept",
    )?;
    check_personal(text)
}

/// Refuses a text in which something looks like personal data.
pub(super) fn check_personal(text: &str) -> Result<(), FormatError> {
    if is_plain(text) {
        return Ok(());
    }
    search(text)
}

fn search(text: &str) -> Result<(), FormatError> {
    let folded = Folded::new(text);
    let found = |found: bool, remedy| demand(!found, "PERSONAL_DATA", remedy);
    found(
        folded.has_name_label(),
        "this names the patient: leave the name out and use the pseudonym",
    )?;
    found(
        folded.has_email(),
        "this looks like an e-mail address: leave it out; contacts are kept outside the ledger",
    )?;
    let runs = folded.digit_runs();
    found(
        runs.iter()
            .enumerate()
            .any(|(at, _)| folded.is_resident_id(runs.get(at..).unwrap_or_default())),
        "this looks like a resident identity number: leave it out and use the pseudonym",
    )?;
    found(
        folded.has_international_phone()
            || runs
                .iter()
                .enumerate()
                .any(|(at, _)| folded.is_mobile(runs.get(at..).unwrap_or_default())),
        "this looks like a telephone number: leave it out; contacts are kept outside the ledger",
    )?;
    found(
        folded.has_passport(),
        "this looks like a passport number: leave it out and use the pseudonym",
    )?;
    found(
        runs.iter().any(|run| folded.is_labelled(run)),
        "this looks like a patient number, a birth date or a contact with its label: leave it out and use \
         the pseudonym",
    )
}

/// Whether nothing below can find anything, seen at a glance: most texts are words or short numbers.
fn is_plain(text: &str) -> bool {
    if !text.is_ascii() || text.contains('@') {
        return false;
    }
    let count = |class: fn(&u8) -> bool| text.bytes().filter(class).count();
    let digits = count(u8::is_ascii_digit);
    // A label has two letters, a passport an E or a G, and any other number eleven digits or a plus sign.
    let is_bare =
        || digits < 11 && count(u8::is_ascii_alphabetic) < 2 && !text.contains(['+', 'E', 'G']);
    let is_number_of_nobody = digits < 4 || is_bare();
    is_number_of_nobody && !(text.contains([':', '=']) && has_word_name(text))
}

/// Whether `name`, which every label of a name in ASCII has, stands somewhere.
fn has_word_name(text: &str) -> bool {
    text.as_bytes()
        .windows(4)
        .any(|word| word.eq_ignore_ascii_case(b"name"))
}

/// Control characters but line feed and tab, and the marks that make text read in another order than it is
/// stored.
fn is_control(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with its disguises taken off: full-width and other digits as ASCII, one kind of space and hyphen,
/// nothing invisible.
struct Folded(Vec<char>);

/// A run of ASCII digits: where it begins, and its digits.
struct Run {
    start: usize,
    digits: String,
}

impl Run {
    fn end(&self) -> usize {
        self.start.saturating_add(self.digits.len())
    }
}

impl Folded {
    fn new(text: &str) -> Self {
        Self(
            text.chars()
                .filter(|c| !is_invisible(*c))
                .map(fold)
                .collect(),
        )
    }

    fn at(&self, index: usize) -> Option<char> {
        self.0.get(index).copied()
    }

    fn before(&self, index: usize) -> Option<char> {
        index.checked_sub(1).and_then(|index| self.at(index))
    }

    fn digit_runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (index, c) in self
            .0
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_ascii_digit())
        {
            match runs.last_mut() {
                Some(run) if run.end() == index => run.digits.push(*c),
                _ => runs.push(Run {
                    start: index,
                    digits: c.to_string(),
                }),
            }
        }
        runs
    }

    /// Whether a number may begin here: not inside a word, nor behind a decimal point.
    fn begins(&self, start: usize) -> bool {
        let in_fraction = matches!(self.before(start), Some('.' | ','))
            && start
                .checked_sub(1)
                .and_then(|at| self.before(at))
                .is_some_and(|c| c.is_ascii_digit());
        !in_fraction
            && self
                .before(start)
                .is_none_or(|c| !c.is_ascii_alphanumeric())
    }

    /// Whether a number may end before here: not inside a word, nor before a decimal point.
    fn ends(&self, end: usize) -> bool {
        let has_fraction = matches!(self.at(end), Some('.' | ','))
            && self
                .at(end.saturating_add(1))
                .is_some_and(|c| c.is_ascii_digit());
        !has_fraction && self.at(end).is_none_or(|c| !c.is_ascii_alphanumeric())
    }

    /// Whether one space, hyphen or point stands between two runs.
    fn are_joined(&self, run: &Run, next: &Run) -> bool {
        next.start == run.end().saturating_add(1)
            && matches!(self.at(run.end()), Some(' ' | '-' | '.'))
    }

    /// The runs' first groups, joined, one more at a time: `110101`, `110101 19900307`, ...
    fn groupings<'r>(&self, runs: &'r [Run]) -> Vec<(Vec<usize>, String, &'r Run)> {
        let mut groupings = Vec::new();
        let mut lengths = Vec::new();
        let mut digits = String::new();
        let mut last: Option<&Run> = None;
        for run in runs.iter().take(18) {
            if last.is_some_and(|last| !self.are_joined(last, run)) {
                break;
            }
            lengths.push(run.digits.len());
            digits.push_str(&run.digits);
            if 18 < digits.len() {
                break;
            }
            groupings.push((lengths.clone(), digits.clone(), run));
            last = Some(run);
        }
        groupings
    }

    /// A resident identity number of the People's Republic of China: 18 places, or 15 of the old kind.
    fn is_resident_id(&self, runs: &[Run]) -> bool {
        self.groupings(runs)
            .iter()
            .any(|(lengths, digits, last)| match digits.len() {
                17 => {
                    let check_is_x = matches!(self.at(last.end()), Some('X' | 'x'))
                        && self.ends(last.end().saturating_add(1));
                    check_is_x && has_birth_place_and_date(digits)
                }
                // With a wrong check digit it is a slip in such a number, unless it is one of GS1's.
                18 => {
                    has_birth_place_and_date(digits)
                        && (has_resident_check(digits) || !gs1::has_check_digit(digits))
                }
                15 => {
                    let [first, ..] = runs else { return false };
                    lengths.len() == 1
                        && self.begins(first.start)
                        && self.ends(last.end())
                        && has_old_birth_place_and_date(digits)
                        && !self.has_label(first.start, THINGS)
                }
                _ => false,
            })
    }

    /// A mobile telephone number of China, in the ways it is written.
    fn is_mobile(&self, runs: &[Run]) -> bool {
        let [first, ..] = runs else { return false };
        self.begins(first.start)
            && self.groupings(runs).iter().any(|(lengths, digits, last)| {
                let country = ["0086", "86"]
                    .iter()
                    .find_map(|code| digits.strip_prefix(code));
                let national = country.filter(|rest| rest.len() == 11).unwrap_or(digits);
                let has_country = national.len() < digits.len();
                let written = match lengths.as_slice() {
                    [11 | 13 | 15] | [3, 4, 4] | [2 | 4, 11] | [2 | 4, 3, 4, 4] => true,
                    [3, 8] => national.get(3..).is_some_and(|date| !is_date(date)),
                    _ => false,
                };
                written
                    && national.len() == 11
                    && national.starts_with('1')
                    && national.get(1..2).is_some_and(|second| "3" <= second)
                    && self.ends(last.end())
                    && (has_country || !self.is_quantity(national, last.end()))
                    && !self.has_label(first.start, THINGS)
            })
    }

    /// `+`, the country and the number, 8 to 15 digits in groups.
    fn has_international_phone(&self) -> bool {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == '+')
            .any(|(plus, _)| {
                let start = plus.saturating_add(1);
                let is_sign = self
                    .before(plus)
                    .is_none_or(|c| !c.is_ascii_alphanumeric() && c != ')');
                if !is_sign || self.has_label(plus, STEPS) {
                    return false;
                }
                let (digits, end) = self.phone_digits(start);
                (8..=15).contains(&digits.len())
                    && !digits.starts_with('0')
                    && !self.is_quantity(&digits, end)
            })
    }

    /// The digits from here on, over one or two separators and parentheses, and where they end. Stops where
    /// there are too many for a telephone, so that a long text costs no more than its length.
    fn phone_digits(&self, start: usize) -> (String, usize) {
        let mut digits = String::new();
        let mut end = start;
        let mut gap = 0_u8;
        for (index, c) in self.0.iter().enumerate().skip(start) {
            if c.is_ascii_digit() && digits.len() < 16 {
                digits.push(*c);
                end = index.saturating_add(1);
                gap = 0;
            } else if gap < 2 && matches!(c, ' ' | '-' | '.' | '(' | ')' | '/') {
                gap = gap.saturating_add(1);
            } else {
                break;
            }
        }
        (digits, end)
    }

    /// Six noughts at the end, or a unit behind it: a dose, not a telephone.
    fn is_quantity(&self, digits: &str, end: usize) -> bool {
        let behind: String = self
            .0
            .iter()
            .skip(end)
            .take(12)
            .collect::<String>()
            .to_lowercase();
        let behind = behind.trim_start();
        digits.ends_with("000000") || UNITS.split('|').any(|unit| behind.starts_with(unit))
    }

    /// `G12345678`, `E12345678`, `EA1234567`: the passports of China.
    fn has_passport(&self) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        let mut start = 0_usize;
        self.0.split(|c| !is_part(*c)).any(|token| {
            let at = start;
            start = start.saturating_add(token.len()).saturating_add(1);
            let shaped = match token {
                ['G' | 'E', digits @ ..] if digits.iter().all(char::is_ascii_digit) => {
                    digits.len() == 8
                }
                ['E', letter, digits @ ..] => {
                    letter.is_ascii_uppercase()
                        && digits.len() == 7
                        && digits.iter().all(char::is_ascii_digit)
                }
                _ => false,
            };
            shaped && !self.has_label(at, THINGS)
        })
    }

    /// A number that a label says to be of a person: `MRN: 123456`, `住院号 0012345`.
    fn is_labelled(&self, run: &Run) -> bool {
        let token_start = (0..run.start)
            .rev()
            .take_while(|at| {
                self.at(*at)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
            })
            .last()
            .unwrap_or(run.start);
        let (digits, _) = self.phone_digits(run.start);
        let is_date = digits.get(..8).is_some_and(is_date);
        [token_start, run.start].into_iter().any(|start| {
            (4 <= digits.len() && self.has_label(start, PERSONS))
                || (7 <= digits.len() && !is_date && self.has_label(start, CONTACTS))
        })
    }

    fn has_name_label(&self) -> bool {
        let text: String = self.0.iter().collect::<String>().to_lowercase();
        NAMES.split('|').any(|label| {
            text.match_indices(label).any(|(at, _)| {
                let rest = text
                    .get(at.saturating_add(label.len())..)
                    .unwrap_or_default();
                let value = rest
                    .trim_start()
                    .strip_prefix([':', '='])
                    .map(str::trim_start);
                value.is_some_and(|value| value.starts_with(char::is_alphabetic))
            })
        })
    }

    fn has_email(&self) -> bool {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == '@')
            .any(|(at, _)| {
                let local = self
                    .before(at)
                    .is_some_and(|c| c.is_alphanumeric() || "._%+-\"".contains(c));
                let host: String = self
                    .0
                    .iter()
                    .skip(at.saturating_add(1))
                    .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
                    .collect();
                let labels: Vec<&str> = host.trim_end_matches(['.', '-']).split('.').collect();
                let top = labels.last().is_some_and(|top| {
                    2 <= top.chars().count() && top.chars().all(|c| c.is_alphabetic() || c == '-')
                });
                local && top && 2 <= labels.len() && labels.iter().all(|label| !label.is_empty())
            })
    }

    /// Whether one of these labels stands before a place, with `no.`, a colon or the like between.
    fn has_label(&self, start: usize, labels: &str) -> bool {
        let from = start.saturating_sub(40);
        let text: String = self
            .0
            .iter()
            .skip(from)
            .take(start.saturating_sub(from))
            .collect();
        let mut text = text.to_lowercase();
        loop {
            let is_label = labels.split('|').any(|label| {
                text.strip_suffix(label).is_some_and(|rest| {
                    let word_before = rest.ends_with(|c: char| c.is_ascii_alphabetic());
                    !(word_before && label.starts_with(|c: char| c.is_ascii_alphabetic()))
                })
            });
            if is_label {
                return true;
            }
            let trimmed = text.trim_end_matches(|c| " :#=.-_([\"'".contains(c));
            let without_filler = FILLERS.split('|').find_map(|filler| {
                let rest = text.strip_suffix(filler)?;
                let word_before = rest.ends_with(|c: char| c.is_ascii_alphabetic());
                (!(word_before && filler.is_ascii())).then_some(rest)
            });
            // One at a time: what is left after either may be a label.
            let shorter = match without_filler {
                Some(rest) if trimmed.len() == text.len() => rest.to_owned(),
                _ => trimmed.to_owned(),
            };
            if shorter.len() == text.len() {
                return false;
            }
            text = shorter;
        }
    }
}

/// Labels of numbers that belong to a person.
const PERSONS: &str = "mrn|medical record|medical record no|medical record number|hospital no|hospital number|\
    chart no|chart number|ssn|social security|nhs|national id|id card|identity card|\
    passport|dob|d.o.b|date of birth|birth date|birthdate|birthday|born|病历号|病案号|\
    住院号|门诊号|就诊卡号|就诊卡|医保号|医保卡号|医保卡|社保号|\
    社保卡号|身份证|身份证号|护照|护照号|出生日期|出生年月|生日|\
    出生于";

/// Labels of ways to reach a person.
const CONTACTS: &str = "tel|telephone|phone|mobile|cell phone|cellphone|fax|whatsapp|wechat|qq|电话|手机|\
    联系方式|传真|微信";

/// Labels of the patient's name, before a colon.
const NAMES: &str = "patient name|patient's name|name of patient|name of the patient|姓名|患者名";

/// Labels of numbers that belong to things.
const THINGS: &str = "lot|batch|serial|sn|gtin|gln|sscc|din|coi|snomed|snomed ct|sct|sctid|loinc|批号|\
    批次|序列号|追溯码";

/// Words before a number with a plus sign that counts from an anchor: day +28.
const STEPS: &str = "day|days|d|week|weeks|month|months|year|years|visit";

/// What may stand between a label and its number.
const FILLERS: &str = "no|nr|number|code|id|is|on|in|号码|号|码|为|是";

/// Words behind a number that make it a quantity.
const UNITS: &str = "vg|gc|cells|cell|car|cd|copies|particles|viral|vector|iu|tu|pfu|bp|ng|ug|mg|ml|{|[|/|%|\
    ×|x 10|x10|*|个|拷贝|细胞|载体";

/// The first two digits of a resident identity number: the province.
const PROVINCES: [u8; 36] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91,
];

fn has_birth_place(digits: &str) -> bool {
    digits
        .get(..2)
        .and_then(|code| code.parse().ok())
        .is_some_and(|code| PROVINCES.contains(&code))
}

fn has_birth_place_and_date(digits: &str) -> bool {
    has_birth_place(digits) && digits.get(6..14).is_some_and(is_date)
}

fn has_old_birth_place_and_date(digits: &str) -> bool {
    let date = digits.get(6..12).map(|date| format!("19{date}"));
    has_birth_place(digits) && date.is_some_and(|date| is_date(&date))
}

/// Whether eight digits are a date on which somebody living, or lately dead, can have been born - or today's.
fn is_date(digits: &str) -> bool {
    let number = |range| {
        digits
            .get(range)
            .and_then(|text: &str| text.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else {
        return false;
    };
    let year = i32::try_from(year).unwrap_or_default();
    (1800..=2100).contains(&year) && NaiveDate::from_ymd_opt(year, month, day).is_some()
}

/// The check digit of GB 11643 (ISO/IEC 7064 MOD 11-2), on 18 digits.
fn has_resident_check(digits: &str) -> bool {
    let sum = digits
        .chars()
        .filter_map(|c| c.to_digit(10))
        .fold(0_u32, |sum, digit| {
            // Below 11 * 2 + 10.
            (sum.wrapping_mul(2).wrapping_add(digit)) % 11
        });
    sum == 1
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe0f}')
}

/// One character in its plain form.
fn fold(c: char) -> char {
    let code = u32::from(c);
    let digit_of = |zero: u32| {
        code.checked_sub(zero)
            .and_then(|value| char::from_digit(value % 10, 10))
    };
    let folded = match c {
        '\u{ff01}'..='\u{ff5e}' => code.checked_sub(0xfee0).and_then(char::from_u32),
        '\u{0660}'..='\u{0669}' => digit_of(0x0660),
        '\u{06f0}'..='\u{06f9}' => digit_of(0x06f0),
        '\u{0966}'..='\u{096f}' => digit_of(0x0966),
        '\u{1d7ce}'..='\u{1d7ff}' => digit_of(0x1d7ce),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        '\u{fe6b}' => Some('@'),
        '。' | '\u{ff61}' => Some('.'),
        _ if c.is_whitespace() => Some(' '),
        _ => None,
    };
    folded.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_at_a_glance_is_plain_to_the_search(
            text in "[A-Za-z]?[-+:= .A-Za-z]{0,6}[0-9]{0,10}[-+:=@ .]?[0-9]{0,4}(mrn|QQ|name|[Ex])?[=: ]?[a-z]?[0-9]{0,18}",
        ) {
            prop_assert!(!is_plain(&text) || search(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn every_label_has_what_a_glance_looks_for() {
        for label in NAMES.split('|').filter(|label| label.is_ascii()) {
            assert!(has_word_name(label), "{label}");
        }
        for label in PERSONS
            .split('|')
            .chain(CONTACTS.split('|'))
            .filter(|label| label.is_ascii())
        {
            let letters = label.bytes().filter(u8::is_ascii_alphabetic).count();
            assert!(1 < letters, "{label}");
        }
    }

    // The numbers below belong to nobody: the identity numbers are the examples of GB 11643 or were made
    // up, the telephones are exchanges' test numbers.
    #[test]
    fn what_leads_to_a_person_is_refused() {
        for text in [
            // Resident identity numbers.
            "ID 11010519491231002X",
            "ID 11010519491231002x.",
            "身份证11010519491231002X",
            "440524188001010014 is wrong, ask again",
            "110105 19491231 002X",
            "110105-19491231-002X",
            "1101 0519 4912 3100 2X",
            "１１０１０５１９４９１２３１００２Ｘ",
            "110105\u{200b}19491231002X",
            "old card 110105491231002",
            // Telephones.
            "call 13800138000",
            "call 13800138000.",
            "(13800138000)",
            "电话13800138000。",
            "138 0013 8000",
            "138-0013-8000",
            "138 00138000",
            "+8613800138000",
            "+86 138 0013 8000",
            "(+86) 138-0013-8000",
            "86-13800138000",
            "008613800138000",
            "1３8０0138000",
            "+44 20 7946 0958",
            "+1 (202) 555-0143",
            "+1-202-555-0143",
            "+12025550143",
            "+49.30.23125.1234",
            "tel. 010-62345678",
            "phone: 2025550143",
            "手机：138 0013 80 00",
            "微信号 13800138000",
            "fax no. 555-0143",
            // E-mail.
            "write to somebody@example.org",
            "some.body+trial@mail.example.co.uk,",
            "somebody＠example．org",
            "某人@例子.公司",
            "<a@b.cn>",
            // Passports.
            "passport G12345678",
            "holds E12345678",
            "holds EA1234567",
            "护照号 G12345678",
            // Labels.
            "MRN: 123456",
            "MRN 123456",
            "mrn#0012345",
            "MRN: A-123456",
            "(MRN=123456)",
            "medical record no. 12345",
            "Medical record number: 12345",
            "病历号：0012345",
            "住院号 1234567",
            "医保卡号12345678",
            "SSN 123-45-6789",
            "NHS number 943 476 5919",
            "DOB: 1984-03-12",
            "date of birth 12.03.1984",
            "born on 1984-03-12",
            "born 1984",
            "出生日期：1984年3月12日",
            "patient name: Zhang San",
            "患者姓名：张三",
            "姓名: 张三",
        ] {
            let refused = check_free_text(text, 200).map_err(|error| error.rule);
            assert_eq!(refused, Err("PERSONAL_DATA"), "{text}");
        }
    }

    #[test]
    fn what_the_field_writes_all_day_is_accepted() {
        for text in [
            "",
            "Line one.\nLine two:\ttabbed.",
            "Apheresis moved by two days, centrifuge out of order; see deviation 26-117.",
            "采集推迟两天，离心机故障，见偏差 26-117。",
            // Numbers of things.
            "lot LVV-2028-01 of 20280301",
            "lot 13812345678 quarantined",
            "批号 13812345678 已隔离",
            "lot 139-20280301",
            "lot G12345678",
            "LOT-G12345678 and CT-E12345678",
            "GTIN 09506000134352, GTIN-13 9506000134369",
            "(01)09506000134352(17)281231(10)LVV-01(21)0001",
            "SSCC 106141412345678908",
            "(00)106141412345678908",
            "GSRN 950600012345678907",
            "DIN G123417654321 A; G1234 17 654321; A999922012346*",
            "CoI CHZ000119000001",
            "SEC PL001499Z549917123456A00T041600320171231",
            "trace code 81234567890123456789",
            "USCC 91350100M000100Y43",
            // Codes.
            "LOINC 2345-7, 88122-7; SNOMED CT 119297000, 900000000000207008, 731000119105",
            "specimen 119297000, SNOMED CT code: 15250008000",
            "MedDRA 27.1 LLT 10012345; ICD-10 C91.0; ATC L01XL04",
            "CAS 7732-18-5, NCT04123456, EudraCT 2019-001234-11",
            "chr7:140753336, GRCh38, NM_004333.6",
            "request 3f2504e0-4f89-11d3-9a0c-030512345678",
            "request 13800138-0013-1380-8013-138001380001",
            "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "hash a13812345678b",
            // Times.
            "2026-11-22T10:15:00+08:00",
            "2026-11-22 10:15, 20261122101500",
            "on 2026.11.22, 22/11/2026 and 20261122",
            "contacted by phone 2026-11-22, no answer after 3 attempts",
            "phone call on 2026-11-22",
            "住院 2026-11-22 至 2026-12-03",
            "day +28 2026-12-20",
            "visits at +1, +3 and +6 months",
            // Doses and counts.
            "15000000000 vg",
            "1.5e10 vg, 13812345678 vg/kg, 13812345678{vg}",
            "viable CD3+ 13812345678 cells",
            "CD34+ 12345678 per bag",
            "+10000000 copies",
            "VCN 0.13812345678 and 13812345678.5",
            "2.0 x 10^6/kg, 1 x 10*13 vg/kg, 150 mL @ 4.5 mL/min",
            "stored @ -150 Cel, moved @10:15",
            "CAR-T cells@2.5mL",
            // Words that sound like labels.
            "the hotel 12345678 is a stillborn idea of 2026",
            "newborn 2026 cohort",
            "telomere length 12345678",
            "patient number in the cohort: 12",
            "product name: Examplecel",
            "site name: Ward 3",
            "passport checked",
            "patient P1, patient SCR-07",
        ] {
            assert_eq!(check_free_text(text, 200), Ok(()), "{text}");
        }
    }

    #[test]
    fn control_characters_and_reordering_marks_are_refused() {
        for c in [
            '\0', '\u{7}', '\u{b}', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}', '\u{202e}',
            '\u{2066}',
        ] {
            let refused = check_free_text(&format!("a{c}b"), 10).map_err(|error| error.rule);
            assert_eq!(refused, Err("TEXT_CONTROL_CHARACTER"), "{c:?}");
        }
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        assert_eq!(check_free_text(&"患".repeat(2000), 2000), Ok(()));
        let refused = check_free_text(&"患".repeat(2001), 2000).map_err(|error| error.rule);
        assert_eq!(refused, Err("TEXT_TOO_LONG"));
    }

    #[test]
    fn the_check_digit_of_a_resident_number_is_the_standard_s() {
        assert!(has_resident_check("440524188001010014"));
        assert!(!has_resident_check("440524188001010015"));
    }

    proptest! {
        #[test]
        fn a_mobile_number_is_found_wherever_it_stands(
            number in "1[3-9][0-9]{8}[1-9]",
            before in "[ 一-龥，。:;(]{0,5}",
            after in "[，。;)]?[ ]{0,2}[一-龥]{0,3}",
        ) {
            prop_assume!(!UNITS.split('|').chain(THINGS.split('|')).any(|word| after.contains(word) || before.contains(word)));
            let refused = check_free_text(&format!("{before}{number}{after}"), 100);
            prop_assert_eq!(refused.map_err(|error| error.rule), Err("PERSONAL_DATA"));
        }

        #[test]
        fn gs1_numbers_are_left_alone(body in "[0-9]{13}") {
            let gtin = (0..10).map(|digit| format!("{body}{digit}")).find(|text| gs1::has_check_digit(text));
            prop_assert_eq!(check_free_text(&format!("GTIN {}", gtin.unwrap()), 100), Ok(()));
        }

        #[test]
        fn hashes_and_uuids_are_left_alone(bytes in any::<[u8; 16]>(), more in any::<[u8; 16]>()) {
            let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let (hash, id) = (hex(&[bytes, more].concat()), hex(&bytes));
            let groups = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
            let text = format!("document {hash}, record {groups}");
            prop_assert_eq!(check_free_text(&text, 200), Ok(()));
        }
    }
}
