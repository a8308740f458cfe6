//! Keeps the house in order, by reading its files: which room may use which, which words are not ours,
//! and what must not be in the repository at all.
//!
//! It knows nothing of what the code does. A new arrow between rooms is a line in [`MAY_USE`], in a commit
//! of its own, with the reason.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read fails the test, and says which"
)]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Component, Path, PathBuf},
};

/// The rooms in `src/` (directories, or files beside them) and the rooms that each may use.
const MAY_USE: &[(&str, &[&str])] = &[
    // The mathematics: functions of their arguments.
    ("tlog", &[]),
    ("note", &["tlog"]),
    // An entry's bytes carry an index and a leaf hash, which are the tree's.
    ("record", &["pb", "tlog"]),
    // A key is on record from an index on.
    ("rules", &["pb", "record", "tlog"]),
    // The offline verifier shares with the writer the mathematics and the formats, and nothing else: it
    // must not see the store, the views or the ledger, whose mistakes it is there to find.
    ("verify", &["note", "pb", "record", "rules", "tlog"]),
    // The seam and its engines know bytes.
    ("store", &[]),
    ("clock", &[]),
    // What a record is about is read from the record.
    ("views", &["pb", "record", "rules", "store", "tlog"]),
    // Invented records for measurements: it writes them, and knows no ledger.
    ("population", &["pb", "record"]),
    (
        "ledger",
        &[
            "clock", "note", "pb", "record", "rules", "store", "tlog", "views",
        ],
    ),
    // Where the ledger meets the verifier: `fsck` hands it a stored log, `export` writes the layout that it
    // reads. The writer itself must never lean on it, or both would share a mistake.
    ("ledger/fsck.rs", &["verify"]),
    ("ledger/export.rs", &["verify"]),
];

/// The edge: it wires the others together, and may use all of them. Nothing above may use the edge.
const EDGE: &[&str] = &[
    "service", "metrics", "server", "bench", "cli", "main", "lib",
];

/// Words of other houses, and what we say here; `docs/GLOSSARY.md` has the whole list. These can mean
/// nothing else, so they are found wherever they stand in `proto/` and `src/`, also inside an identifier.
const OTHER_WORDS: &[(&str, &str)] = &[
    (
        "ltfu",
        "long-term follow-up, or lost to follow-up: say which",
    ),
    ("sth", "checkpoint"),
    ("signed tree head", "checkpoint"),
    ("audit path", "inclusion proof"),
    ("existence proof", "inclusion proof"),
    ("extension proof", "consistency proof"),
    ("batch number", "lot"),
    ("parent hash", "previous"),
    ("dosing", "administration"),
];

/// Names that say nothing; looked for where something is named. What others have named so is theirs.
const EMPTY_WORDS: &[&str] = &["manager", "helper", "helpers", "util", "utils"];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut wrong = Vec::new();
    for file in files_under("src", "rs") {
        let text = read(&file);
        let (room, name) = room_of(&file);
        // Tests may use what they need.
        if EDGE.contains(&room.as_str()) || name.ends_with("/tests.rs") {
            continue;
        }
        let of = |name: &str| MAY_USE.iter().find(|(room, _)| *room == name);
        let Some((_, allowed)) = of(&room) else {
            wrong.push(format!(
                "{}: the room `{room}` is in no table",
                file.display()
            ));
            continue;
        };
        let extra = of(&name).map_or(&[] as &[&str], |(_, extra)| extra);
        for used in used_rooms(without_tests(&text)) {
            let known =
                used == room || allowed.contains(&used.as_str()) || extra.contains(&used.as_str());
            if !known {
                wrong.push(format!("{}: `{room}` may not use `{used}`", file.display()));
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    let mut wrong = Vec::new();
    for file in files_of("rs") {
        if !read(&file).starts_with("//! ") {
            wrong.push(format!("{}: does not open with `//!`", file.display()));
        }
    }
    expect_none(&wrong);
}

#[test]
fn the_words_of_other_houses_are_not_used() {
    let mut wrong = Vec::new();
    for file in files_under("src", "rs")
        .into_iter()
        .chain(files_under("proto/genetrail", "proto"))
    {
        for (line, number) in read(&file).lines().zip(1..) {
            // The worked history has ids of its own.
            let words = words_of(&line.replace("LTFU-CAR19", ""));
            for (word, instead) in OTHER_WORDS {
                if words.contains(&format!(" {word} ")) {
                    let file = file.display();
                    wrong.push(format!("{file}:{number}: not `{word}` but: {instead}"));
                }
            }
            let names = ["fn", "struct", "enum", "trait", "mod", "type"];
            let names = names.map(|name| format!(" {name} "));
            if line.trim_start().starts_with("//") || !names.iter().any(|name| words.contains(name))
            {
                continue;
            }
            for word in EMPTY_WORDS {
                if words.contains(&format!(" {word} ")) {
                    let file = file.display();
                    wrong.push(format!("{file}:{number}: `{word}` says nothing"));
                }
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    let banned = [
        concat!("#[", "ignore"),
        concat!("#[", "should_panic"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    expect_none(&occurrences(&files_of("rs"), &banned));
    expect_none(&occurrences(&files_under("proto", "proto"), &banned));
}

#[test]
fn no_machine_and_no_registry_is_named() {
    let files: Vec<PathBuf> = files_of("")
        .into_iter()
        // It names the registry of each crate.
        .filter(|file| file.file_name().is_some_and(|name| name != "Cargo.lock"))
        .collect();
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "wt"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("registry.", "npmjs"),
        concat!("deb.", "debian"),
    ];
    expect_none(&occurrences(&files, &banned));
}

#[test]
fn every_document_is_linked_and_every_link_leads_somewhere() {
    let mut linked = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in files_of("md") {
        for link in links_of(&read(&file)) {
            let target = tidy(&file.parent().unwrap_or(Path::new("")).join(&link));
            if !target.exists() {
                let file = file.display();
                wrong.push(format!("{file}: the link to {link} leads nowhere"));
            }
            if target != file {
                linked.insert(target);
            }
        }
    }
    for file in files_under("docs", "") {
        if !linked.contains(&file) {
            wrong.push(format!("{}: no document links to it", file.display()));
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_document_has_one_title() {
    let mut wrong = Vec::new();
    for file in files_of("md") {
        // What others wrote stays as they wrote it.
        if file.starts_with("tests/vectors") {
            continue;
        }
        let text = read(&file);
        let titles = prose(&text).filter(|line| line.starts_with("# ")).count();
        if titles != 1 {
            wrong.push(format!("{}: {titles} titles", file.display()));
        }
    }
    expect_none(&wrong);
}

#[test]
fn every_set_of_vectors_says_where_it_is_from() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("tests/vectors")).expect("tests/vectors can be read") {
        let dir = entry.expect("tests/vectors can be read").path();
        let said = ["README.txt", "README.md"].map(|name| dir.join(name).is_file());
        if dir.is_dir() && !said.contains(&true) {
            wrong.push(format!("{}: no README", dir.display()));
        }
    }
    expect_none(&wrong);
}

fn expect_none(wrong: &[String]) {
    let mut list = String::new();
    for line in wrong {
        writeln!(list, "  {line}").expect("a string takes every line");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{list}", wrong.len());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    let bytes = fs::read(root().join(file)).expect("a file of the repository can be read");
    // What is not text holds none of the words that are looked for.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every file of the repository whose name ends so; the empty end is of every file. Paths are relative to
/// the repository, in order.
fn files_of(extension: &str) -> Vec<PathBuf> {
    files_under("", extension)
}

fn files_under(dir: &str, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(Path::new(dir), &mut files);
    files.retain(|file| {
        extension.is_empty() || file.extension().is_some_and(|have| have == extension)
    });
    files.sort();
    files
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    // Not ours: what is built, what git keeps, and what the fuzzer found on this machine.
    const ELSEWHERE: [&str; 4] = ["target", ".git", "corpus", "artifacts"];
    for entry in fs::read_dir(root().join(dir)).expect("a directory of the repository can be read")
    {
        let entry = entry.expect("a directory of the repository can be read");
        let name = entry.file_name();
        let path = dir.join(&name);
        if ELSEWHERE.iter().any(|elsewhere| name == *elsewhere) {
            continue;
        }
        if root().join(&path).is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The room a file of `src/` is in, and its own name as the table may have it: `ledger`, `ledger/fsck.rs`.
fn room_of(file: &Path) -> (String, String) {
    let inside = file.strip_prefix("src").unwrap_or(file);
    let first = inside.components().next();
    let first = first.map_or(String::new(), |first| {
        first.as_os_str().to_string_lossy().into_owned()
    });
    let room = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
    (room, inside.to_string_lossy().into_owned())
}

fn without_tests(text: &str) -> &str {
    let tests = text.find("#[cfg(test)]\nmod tests");
    text.split_at(tests.unwrap_or(text.len())).0
}

/// What follows each `crate::`: one name, or the first names in a group of braces.
fn used_rooms(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => {
                rooms.insert(leading_name(after));
            }
            Some(group) => rooms.extend(first_names(group)),
        }
    }
    // Macros and hidden items of `$crate::`.
    rooms.remove("");
    rooms
}

/// The names at the depth of the group that begins here, up to its closing brace.
fn first_names(group: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth: usize = 0;
    let mut fresh = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth = depth.saturating_add(1),
            '}' if depth == 0 => break,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => fresh = true,
            _ if fresh && depth == 0 && !character.is_whitespace() => {
                names.insert(leading_name(group.split_at(at).1));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

/// A line as lower-case words between single spaces: `TreeHead::sth_of(x)` is ` tree head sth of x `.
fn words_of(line: &str) -> String {
    let mut words = String::from(" ");
    let mut before = ' ';
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        // `TreeHead` and `STHOf` are two words each.
        let ends_acronym = characters.peek().is_some_and(char::is_ascii_lowercase);
        let begins =
            character.is_ascii_uppercase() && (!before.is_ascii_uppercase() || ends_acronym);
        if (begins || !character.is_ascii_alphanumeric()) && !words.ends_with(' ') {
            words.push(' ');
        }
        if character.is_ascii_alphanumeric() {
            words.push(character.to_ascii_lowercase());
        }
        before = character;
    }
    words.push(' ');
    words
}

fn occurrences(files: &[PathBuf], banned: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let text = read(file);
        for (line, number) in text.lines().zip(1..) {
            for banned in banned.iter().filter(|banned| line.contains(**banned)) {
                found.push(format!("{}:{number}: {banned}", file.display()));
            }
        }
    }
    found
}

/// The lines of a Markdown text that stand outside its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

/// Where the links of a Markdown text lead to within the repository, without their anchors.
fn links_of(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        for after in line.split("](").skip(1) {
            let link = after.split(')').next().unwrap_or("");
            let path = link.split('#').next().unwrap_or("");
            if !path.is_empty() && !link.contains("://") && !link.starts_with("mailto:") {
                links.push(path.to_owned());
            }
        }
    }
    links
}

/// `docs/../LICENSE` is `LICENSE`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                tidy.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                tidy.push(component);
            }
        }
    }
    tidy
}

#[test]
fn the_readers_of_this_test_see_what_is_there() {
    let text = "use crate::{note::{Note, crate_of}, tlog};\nfn f() { crate::pb::x(); } // crate::cli\n\
                // crate::service\n";
    let rooms = used_rooms(text);
    let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
    // A comment behind code is read as code: nobody writes one there.
    assert_eq!(rooms, ["cli", "note", "pb", "tlog"]);
    assert_eq!(
        words_of("  TreeHead::sth_of(x) LTFUPlan"),
        " tree head sth of x ltfu plan "
    );
    assert_eq!(
        links_of("[a](b.md#c) ![d](e.png) [f](https://g)"),
        ["b.md", "e.png"]
    );
    assert_eq!(prose("a\n```\nb\n```\nc").collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(
        tidy(Path::new("docs/decisions/../../LICENSE")),
        Path::new("LICENSE")
    );
}
