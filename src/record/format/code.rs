//! Codes of lists that others keep: countries, languages, time zones, media types, URIs.
//! Holds the lists that are small and settled (ISO 3166-1, ISO 639-1); everything else is well-formedness.

use chrono_tz::Tz;
use oxilangtag::LanguageTag;

use super::{FormatError, demand, is_all, is_digit};

/// An IANA time zone, in its exact spelling: `Asia/Shanghai`.
pub fn check_time_zone(text: &str) -> Result<(), FormatError> {
    demand(
        text.parse::<Tz>().is_ok(),
        "TIME_ZONE_UNKNOWN",
        "name a zone of the IANA time zone database, such as Asia/Shanghai, in its own spelling",
    )
}

/// An ISO 3166-1 alpha-2 country code that is assigned.
pub fn check_country(text: &str) -> Result<(), FormatError> {
    demand(
        is_listed(COUNTRIES, text),
        "COUNTRY_UNKNOWN",
        "give the country as two capitals of ISO 3166-1, such as CN",
    )
}

/// A BCP 47 language tag: `zh-Hans-CN`.
pub fn check_language(text: &str) -> Result<(), FormatError> {
    let wrong = FormatError::new(
        "LANGUAGE_TAG",
        "give the language as a BCP 47 tag, such as zh-Hans-CN or en",
    );
    let tag = LanguageTag::parse(text).ok().ok_or(wrong)?;
    let language = tag.primary_language();
    // Longer language subtags are reserved or were never registered; private-use and grandfathered tags do
    // not name a language that a translator could be found for.
    let known = match language.len() {
        2 => is_listed(LANGUAGES, &language.to_ascii_lowercase()),
        3 => true,
        _ => false,
    };
    let region_known = tag.region().is_none_or(|region| {
        let region = region.to_ascii_uppercase();
        is_all(3, is_digit, &region)
            || is_listed(COUNTRIES, &region)
            || is_listed(MORE_REGIONS, &region)
    });
    demand(
        text.len() <= 35 && known && region_known,
        wrong.rule,
        wrong.remedy,
    )
}

/// A media type without parameters: `application/pdf` (RFC 6838).
pub fn check_media_type(text: &str) -> Result<(), FormatError> {
    let (kind, subtype) = text.split_once('/').unwrap_or_default();
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    demand(
        MEDIA_KINDS.contains(&kind.to_ascii_lowercase().as_str())
            && subtype.len() <= 127
            && subtype.starts_with(|c: char| c.is_ascii_alphanumeric())
            && subtype.bytes().all(name_byte),
        "MEDIA_TYPE",
        "write a media type such as application/pdf, without parameters",
    )
}

/// An absolute URI (RFC 3986) of at most 2,048 characters.
pub fn check_uri(text: &str) -> Result<(), FormatError> {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let uri_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let escapes = rest.split('%').skip(1).all(|escaped| {
        let two = escaped.get(..2).unwrap_or_default();
        is_all(2, |byte| byte.is_ascii_hexdigit(), two)
    });
    demand(
        text.len() <= 2048
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(scheme_byte)
            && !rest.trim_start_matches('/').is_empty()
            && rest.bytes().all(uri_byte)
            && rest.matches('#').count() <= 1
            && escapes,
        "URI",
        "write an absolute URI, such as https://example.org/codes, with other characters percent-encoded",
    )?;
    super::personal::check_personal(text)
}

/// Whether a two-letter code is in a list of codes separated by spaces.
fn is_listed(list: &str, code: &str) -> bool {
    list.split(' ').any(|listed| listed == code)
}

/// ISO 3166-1 alpha-2: the 249 codes that are officially assigned.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM \
    BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO \
    DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK \
    HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI \
    LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF \
    NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE \
    SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG \
    UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Regions that a language tag may name although ISO 3166-1 only reserves them.
const MORE_REGIONS: &str = "AC CP CQ DG EA EU EZ IC TA UN";

/// ISO 639-1: the two-letter language codes.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs \
    cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu \
    hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln \
    lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps \
    pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to \
    tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// The top-level media types of the IANA registry.
const MEDIA_KINDS: [&str; 10] = [
    "application",
    "audio",
    "font",
    "haptics",
    "image",
    "message",
    "model",
    "multipart",
    "text",
    "video",
];
