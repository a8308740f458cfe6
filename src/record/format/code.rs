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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_one_of_the_iana_database_in_its_spelling() {
        for zone in [
            "Asia/Shanghai",
            "Europe/Berlin",
            "America/Argentina/Ushuaia",
            "UTC",
            "Etc/GMT+8",
        ] {
            assert_eq!(check_time_zone(zone), Ok(()), "{zone}");
        }
        for zone in [
            "",
            "asia/shanghai",
            "Asia/Beijing",
            "CST6",
            "+08:00",
            "GMT+8",
            "Asia/Shanghai ",
        ] {
            assert!(check_time_zone(zone).is_err(), "{zone:?}");
        }
    }

    #[test]
    fn there_are_249_countries() {
        let letters = || 'A'..='Z';
        let codes = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
        assert_eq!(
            codes.filter(|code| check_country(code).is_ok()).count(),
            249
        );
        for code in ["", " ", "cn", "CHN", "UK", "EU", "XX", "AD AE", "D A"] {
            assert!(check_country(code).is_err(), "{code:?}");
        }
    }

    #[test]
    fn a_language_tag_names_a_language() {
        for tag in [
            "zh",
            "zh-CN",
            "zh-Hans-CN",
            "zh-Hant-TW",
            "en",
            "en-US",
            "de-DE",
            "es-419",
            "yue-Hant-HK",
            "cmn-Hans",
            "sr-Latn-RS",
            "de-CH-1996",
            "bo",
            "ug-Arab-CN",
            "EN-us",
            "en-EU",
        ] {
            assert_eq!(check_language(tag), Ok(()), "{tag}");
        }
        for tag in [
            "",
            "-",
            "zh_CN",
            "zh-",
            "-zh",
            "zh--CN",
            "english",
            "Chinese",
            "xx",
            "zz-ZZ",
            "zh-XX",
            "z",
            "1",
            "x-secret",
            "i-klingon",
            "zh-CN-",
            "中文",
            "en-US-US",
            "e n",
        ] {
            assert!(check_language(tag).is_err(), "{tag:?}");
        }
    }

    #[test]
    fn a_media_type_is_a_kind_and_a_subtype() {
        for text in [
            "application/pdf",
            "text/csv",
            "image/svg+xml",
            "application/vnd.ms-excel",
            "Text/HTML",
        ] {
            assert_eq!(check_media_type(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "pdf",
            "application/",
            "/pdf",
            "application/pdf/x",
            "application pdf",
            "x/y",
            "*/*",
            "text/*",
            "text/plain; charset=utf-8",
            "text/.hidden",
            "application/pdé",
        ] {
            assert!(check_media_type(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_uri_is_absolute_and_leads_to_no_person() {
        for text in [
            "http://snomed.info/sct",
            "http://loinc.org",
            "urn:oid:2.16.840.1.113883.6.1",
            "urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "https://id.gs1.org/01/09506000134352/10/ABC%20123?x=1#part",
        ] {
            assert_eq!(check_uri(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "http:",
            "http://",
            "://x",
            "snomed.info/sct",
            "/sct",
            "1http://x",
            "http://a b",
            "http://x/%zz",
            "http://x/%2",
            "http://x/#a#b",
            "http://例子.公司",
            "http://x/<y>",
            "mailto:somebody@example.org",
            "tel:+86-138-0013-8000",
        ] {
            assert!(check_uri(text).is_err(), "{text:?}");
        }
        assert_eq!(check_uri(&format!("http://x/{}", "a".repeat(2039))), Ok(()));
        assert!(check_uri(&format!("http://x/{}", "a".repeat(2040))).is_err());
    }
}
