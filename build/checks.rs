//! Writes the checks of the records from the rules that stand beside their fields in `proto/`: for each
//! message one `impl Check`, a plain list of calls into `crate::record::check`. What a call does, it does
//! not know.

use std::collections::BTreeMap;

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, OneofDescriptor, ReflectMessage as _, Value,
};

const RECORD: &str = "genetrail.v1.Record";

/// The Rust source of all the checks.
pub(crate) fn generate(pool: &DescriptorPool) -> String {
    let options = Options::new(pool);
    let record = pool
        .get_message_by_name(RECORD)
        .expect("record.proto defines Record");
    let mut messages = BTreeMap::new();
    let mut enums = BTreeMap::new();
    collect(&record, &mut messages, &mut enums);

    let mut out = String::from("// Generated from proto/ by build/checks.rs.\n");
    for message in messages.values() {
        message_check(&mut out, message, &options);
    }
    for choices in enums.values() {
        choices_of(&mut out, choices);
    }
    kinds(&mut out, &record, &options);
    out
}

/// Everything that a record can hold.
fn collect(
    message: &MessageDescriptor,
    messages: &mut BTreeMap<String, MessageDescriptor>,
    enums: &mut BTreeMap<String, EnumDescriptor>,
) {
    if messages
        .insert(message.name().to_owned(), message.clone())
        .is_some()
    {
        return;
    }
    for field in message.fields() {
        match field.kind() {
            Kind::Message(inner) => collect(&inner, messages, enums),
            Kind::Enum(inner) => drop(enums.insert(inner.name().to_owned(), inner)),
            _ => {}
        }
    }
}

fn message_check(out: &mut String, message: &MessageDescriptor, options: &Options) {
    let mut body = String::new();
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        field_check(&mut body, &field, &options.rule(&field));
    }
    for choice in message.oneofs().filter(|choice| !choice.is_synthetic()) {
        oneof_check(&mut body, &choice, options);
    }
    if options.is_across(message) {
        body.push_str("        Across::across(self, c);\n");
    }
    let checker = if body.is_empty() { "_" } else { "c" };
    out.push_str(&format!(
        "\nimpl Check for pb::{} {{\n    fn check(&self, {checker}: &mut Checker<'_>) {{\n{body}    }}\n}}\n",
        message.name(),
    ));
}

/// One field: where its value is, and the calls that check it.
fn field_check(body: &mut String, field: &FieldDescriptor, rule: &Rule) {
    let name = field.name();
    let place = format!("self.{name}");
    if field.cardinality() == Cardinality::Repeated {
        return repeated_check(body, field, &place, rule);
    }
    let need = if rule.required {
        "required"
    } else {
        "optional"
    };
    let mut call = |line: String| {
        body.push_str("        ");
        body.push_str(&line);
        body.push('\n');
    };
    match field.kind() {
        Kind::String => {
            call(format!(
                "c.{need}_text({name:?}, &{place}, {});",
                rule.text_format(field)
            ));
            value_rules(&mut call, name, &place, rule);
        }
        Kind::Bytes => {
            call(format!(
                "c.{need}_bytes({name:?}, &{place}, {});",
                rule.bytes_length(field)
            ));
        }
        Kind::Message(_) => {
            call(format!("c.{need}_message({name:?}, {place}.as_ref());"));
            quantity_rules(&mut call, name, &format!("{place}.as_ref()"), rule);
        }
        Kind::Enum(choices) => {
            let wire = if field.supports_presence() {
                ".unwrap_or_default()"
            } else {
                ""
            };
            let choices = choices.name();
            call(format!(
                "c.{need}_enum::<pb::{choices}>({name:?}, {place}{wire});"
            ));
        }
        Kind::Bool | Kind::Sint32 | Kind::Sint64 | Kind::Uint32 | Kind::Uint64 => {
            if rule.required {
                let optional = field.supports_presence();
                assert!(
                    optional,
                    "{}: only an optional number is required",
                    field.full_name()
                );
                call(format!("c.required({name:?}, {place}.is_some());"));
            }
            let number = number(field, &place);
            if let Some(min) = rule.min {
                call(format!("c.at_least({name:?}, {number}, {min});"));
            }
            if let Some(max) = rule.max {
                call(format!("c.at_most({name:?}, {number}, {max});"));
            }
        }
        other => panic!("{}: {other:?} has no place in a record", field.full_name()),
    }
}

/// A number as an `Option<u64>`; what it may be is compared there.
fn number(field: &FieldDescriptor, place: &str) -> String {
    match (field.supports_presence(), field.kind() == Kind::Uint64) {
        (false, false) => format!("Some(u64::from({place}))"),
        (false, true) => format!("Some({place})"),
        (true, false) => format!("{place}.map(u64::from)"),
        (true, true) => place.to_owned(),
    }
}

fn repeated_check(body: &mut String, field: &FieldDescriptor, place: &str, rule: &Rule) {
    assert!(
        !field.is_map(),
        "{}: no maps in a record",
        field.full_name()
    );
    let name = field.name();
    let need = if rule.required {
        "required"
    } else {
        "optional"
    };
    let items = match field.kind() {
        Kind::String => format!("c.texts({name:?}, &{place}, {});", rule.text_format(field)),
        Kind::Message(_) => format!("c.messages({name:?}, &{place});"),
        Kind::Enum(choices) => format!("c.enums::<pb::{}>({name:?}, &{place});", choices.name()),
        other => panic!("{}: no lists of {other:?} in a record", field.full_name()),
    };
    let unique = if rule.unique {
        format!("            c.unique({name:?}, &{place});\n")
    } else {
        String::new()
    };
    body.push_str(&format!(
        "        if c.{need}_items({name:?}, {place}.len(), {}) {{\n            {items}\n{unique}        }}\n",
        rule.max_items.unwrap_or(256),
    ));
}

/// One of several fields: each has its rule, and one of them must be there.
fn oneof_check(body: &mut String, choice: &OneofDescriptor, options: &Options) {
    let parent = choice.parent_message();
    let (module, name) = (snake(parent.name()), choice.name());
    body.push_str(&format!("        match &self.{name} {{\n"));
    body.push_str(&format!(
        "            None => c.required({name:?}, false),\n"
    ));
    for field in choice.fields() {
        let (field_name, rule) = (field.name(), options.rule(&field));
        let mut calls = Vec::new();
        let value = match field.kind() {
            Kind::String => {
                let format = rule.text_format(&field);
                calls.push(format!("c.required_text({field_name:?}, value, {format});"));
                value_rules(&mut |line| calls.push(line), field_name, "value", &rule);
                "value"
            }
            Kind::Message(_) => {
                calls.push(format!("c.message({field_name:?}, value);"));
                quantity_rules(
                    &mut |line| calls.push(line),
                    field_name,
                    "Some(value)",
                    &rule,
                );
                "value"
            }
            Kind::Uint32 => "_",
            other => panic!("{}: no choice of {other:?} in a record", field.full_name()),
        };
        let variant = camel(field_name);
        let calls = calls.join("\n                ");
        body.push_str(&format!(
            "            Some(pb::{module}::{}::{variant}({value})) => {{\n                {calls}\n            }}\n",
            camel(name),
        ));
    }
    body.push_str("        }\n");
}

/// What a text must be beyond its format.
fn value_rules(call: &mut impl FnMut(String), name: &str, place: &str, rule: &Rule) {
    let reference = if place == "value" { "" } else { "&" };
    if let Some(sign) = &rule.sign {
        call(format!(
            "c.decimal_sign({name:?}, {reference}{place}, Sign::{sign});"
        ));
    }
    if rule.past {
        call(format!("c.past({name:?}, {reference}{place});"));
    }
}

/// What a quantity must be beyond being one.
fn quantity_rules(call: &mut impl FnMut(String), name: &str, place: &str, rule: &Rule) {
    if let Some(sign) = &rule.sign {
        call(format!("c.quantity_sign({name:?}, {place}, Sign::{sign});"));
    }
    if let Some(unit) = &rule.unit {
        call(format!("c.unit({name:?}, {place}, {unit:?});"));
    }
}

/// The names of an enum's values, for the remedy of a refusal.
fn choices_of(out: &mut String, choices: &EnumDescriptor) {
    let names: Vec<String> = choices
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| value.name().to_owned())
        .collect();
    out.push_str(&format!(
        "\nimpl Choices for pb::{} {{\n    const NAMES: &'static str = {:?};\n}}\n",
        choices.name(),
        names.join(", "),
    ));
}

/// What each kind is called, and what it asks of its envelope.
fn kinds(out: &mut String, record: &MessageDescriptor, options: &Options) {
    let kind = record
        .oneofs()
        .find(|choice| choice.name() == "kind")
        .expect("Record has a kind");
    let (mut names, mut rules) = (String::new(), String::new());
    for field in kind.fields() {
        let variant = camel(field.name());
        names.push_str(&format!(
            "        pb::record::Kind::{variant}(_) => {:?},\n",
            field.name()
        ));
        rules.push_str(&format!(
            "        pb::record::Kind::{variant}(_) => {},\n",
            options.kind_rule(&field)
        ));
    }
    out.push_str(&format!(
        "\n/// What a kind is called: the name of its field in `Record`.\n\
         pub const fn kind_name(kind: &pb::record::Kind) -> &'static str {{\n    match kind {{\n{names}    }}\n}}\n\
         \n/// What a kind asks of its envelope.\n\
         pub const fn kind_rule(kind: &pb::record::Kind) -> pb::KindRule {{\n    match kind {{\n{rules}    }}\n}}\n",
    ));
}

/// The options that rule.proto defines.
struct Options {
    rule: prost_reflect::ExtensionDescriptor,
    kind_rule: prost_reflect::ExtensionDescriptor,
    across: prost_reflect::ExtensionDescriptor,
}

impl Options {
    fn new(pool: &DescriptorPool) -> Self {
        let named = |name| {
            pool.get_extension_by_name(&format!("genetrail.v1.{name}"))
                .unwrap_or_else(|| panic!("rule.proto defines {name}"))
        };
        Self {
            rule: named("rule"),
            kind_rule: named("kind_rule"),
            across: named("across"),
        }
    }

    fn rule(&self, field: &FieldDescriptor) -> Rule {
        Rule::read(
            field
                .options()
                .get_extension(&self.rule)
                .as_message()
                .expect("a message"),
        )
    }

    fn is_across(&self, message: &MessageDescriptor) -> bool {
        message
            .options()
            .get_extension(&self.across)
            .as_bool()
            .expect("a bool")
    }

    /// The rule of a kind, as a constant expression.
    fn kind_rule(&self, field: &FieldDescriptor) -> String {
        let options = field.options();
        let value = options.get_extension(&self.kind_rule);
        let rule = value.as_message().expect("a message");
        let parts: Vec<String> = rule
            .descriptor()
            .fields()
            .map(|part| {
                format!(
                    "{}: {}",
                    part.name(),
                    rule.get_field(&part).as_bool() == Some(true)
                )
            })
            .collect();
        format!("pb::KindRule {{ {} }}", parts.join(", "))
    }
}

/// The rule of a field; `None` is what it does not say.
struct Rule {
    format: String,
    required: bool,
    max_length: Option<u32>,
    min: Option<u32>,
    max: Option<u32>,
    sign: Option<String>,
    unit: Option<String>,
    unique: bool,
    max_items: Option<u32>,
    past: bool,
}

impl Rule {
    fn read(message: &DynamicMessage) -> Self {
        let get = |name: &str| {
            message
                .get_field_by_name(name)
                .expect("rule.proto has the field")
                .into_owned()
        };
        let number = |name: &str| get(name).as_u32().filter(|number| *number != 0);
        let flag = |name: &str| get(name) == Value::Bool(true);
        Self {
            format: enum_name(message, "format", "FORMAT_").unwrap_or_default(),
            required: flag("required"),
            max_length: number("max_length"),
            min: number("min"),
            max: number("max"),
            sign: enum_name(message, "sign", "SIGN_").map(|name| camel(&name)),
            unit: get("unit")
                .as_str()
                .filter(|unit| !unit.is_empty())
                .map(str::to_owned),
            unique: flag("unique"),
            max_items: number("max_items"),
            past: flag("past"),
        }
    }

    /// The function that checks a text. A text without one could carry anything into the log.
    fn text_format(&self, field: &FieldDescriptor) -> String {
        let limit = |default: u32| self.max_length.unwrap_or(default);
        match self.format.as_str() {
            "" => panic!("{}: a text needs a format", field.full_name()),
            "token" => format!("|text| format::check_token(text, {})", limit(64)),
            "name" => format!("|text| format::check_free_text(text, {})", limit(300)),
            "text" => format!("|text| format::check_free_text(text, {})", limit(2000)),
            "day_or_instant" | "chromosome" | "field_path" | "across" => {
                format!("own::check_{}", self.format)
            }
            format => format!("format::check_{format}"),
        }
    }

    fn bytes_length(&self, field: &FieldDescriptor) -> u32 {
        match self.format.as_str() {
            "sha256" | "ed25519_key" => 32,
            "ed25519_signature" => 64,
            other => panic!("{}: bytes cannot be {other:?}", field.full_name()),
        }
    }
}

/// The name of an enum's value without its prefix, in small letters; `None` for the zero value.
fn enum_name(message: &DynamicMessage, field: &str, prefix: &str) -> Option<String> {
    let descriptor = message
        .descriptor()
        .get_field_by_name(field)
        .expect("rule.proto has the field");
    let Kind::Enum(choices) = descriptor.kind() else {
        panic!("{field} is an enum")
    };
    let number = message
        .get_field(&descriptor)
        .as_enum_number()
        .filter(|number| *number != 0)?;
    let value = choices.get_value(number).expect("a value of the enum");
    value.name().strip_prefix(prefix).map(str::to_lowercase)
}

fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field
        .containing_oneof()
        .filter(|choice| !choice.is_synthetic())
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect()
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
