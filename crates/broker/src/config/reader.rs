//! Reads every source by the table of keys: the file with the places of its values, the environment, the
//! flags. It goes on after an error, so that all are told at once. What depends on several keys is not looked
//! at here but in `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::Key;
use super::listener::Listener;
use super::problem::{Fault, Problem};
use super::room::{Entry, Room};
use super::setting::{Given, Value, quoted};
use super::source::{File, Flag, Origin, Sources, shortened};
use super::suggestion::nearest;
use super::{Config, LISTENER, is_numbered, keys, sections};

/// What was found while reading.
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) places: Places,
    /// Whether the file is TOML. If not, some of its values may be missing, and nothing follows from that.
    pub(super) whole: bool,
}

/// Where each value that somebody gave was given.
#[derive(Default)]
pub(super) struct Places(BTreeMap<(&'static str, usize, &'static str), Place>);

struct Place {
    origin: Origin,
    /// Whether the value was allowed; if not, it has been told, and nothing that follows from it should be.
    good: bool,
}

/// The number of a section that there is once only. Others are numbered from 1.
const ONLY: usize = 0;

struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
    places: Places,
    whole: bool,
    /// Lines that are not TOML: what the parser guesses there is not told as another mistake.
    broken_lines: BTreeSet<usize>,
}

/// Reads all sources. The configuration counts only if nothing is found to be wrong.
pub(super) fn read(sources: &Sources) -> (Config, Findings) {
    let (problems, places) = (Vec::new(), Places::default());
    let mut reader = Reader { sources, problems, places, whole: true, broken_lines: BTreeSet::new() };
    let document = reader.parse();
    reader.unknown_sections(&document);
    let config = Config {
        listeners: reader.listeners(&document),
        authentication: reader.room(&document),
        tokens: reader.rooms(&document),
        access: reader.room(&document),
        guard: reader.room(&document),
        quota: reader.room(&document),
        limits: reader.room(&document),
        session: reader.room(&document),
        store: reader.room(&document),
        worker: reader.room(&document),
        log: reader.room(&document),
        sys: reader.room(&document),
        control: reader.room(&document),
    };
    reader.unknown_variables();
    (config, Findings { problems: reader.problems, places: reader.places, whole: reader.whole })
}

impl Places {
    /// Where the value of a key was given.
    pub(super) fn of(&self, section: &'static str, number: usize, name: &'static str) -> Origin {
        let place = self.0.get(&(section, number, name)).or_else(|| self.0.get(&(section, number, "")));
        place.map_or(Origin::Default, |place| place.origin.clone())
    }

    /// Whether somebody gave a value.
    pub(super) fn is_given(&self, section: &'static str, number: usize, name: &'static str) -> bool {
        self.0.contains_key(&(section, number, name))
    }

    /// Whether these keys have values that count: the defaults, or what was given and allowed.
    pub(super) fn are_good(&self, section: &'static str, number: usize, names: &[&'static str]) -> bool {
        let place = |name: &&'static str| self.0.get(&(section, number, *name));
        names.iter().filter_map(place).all(|place| place.good)
    }

    fn put(&mut self, section: &'static str, number: usize, name: &'static str, origin: Origin, good: bool) {
        self.0.insert((section, number, name), Place { origin, good });
    }
}

impl<'a> Reader<'a> {
    fn parse(&mut self) -> DeTable<'a> {
        let Some(file) = &self.sources.file else { return DeTable::new() };
        let (document, errors) = DeTable::parse_recoverable(&file.text);
        self.whole = errors.is_empty();
        for error in errors {
            let fault = Fault::Syntax(error.message().to_owned());
            let origin = file.place(&error.span().unwrap_or_else(|| file.most_dots()));
            // Of each line the first mistake: the others are what the parser makes of it.
            if let Origin::Place { line, .. } = origin
                && self.broken_lines.insert(line)
            {
                self.problems.push(Problem { origin, key: None, fault });
            }
        }
        document.into_inner()
    }

    fn unknown_sections(&mut self, document: &DeTable<'_>) {
        for (key, _) in document {
            let name: &str = key.get_ref();
            if sections().iter().any(|section| section.name == name) {
                continue;
            }
            let meant = match keys().find(|key| key.name == name) {
                Some(key) => Some(format!("{} in the section [{}]", key.name, key.section)),
                None => nearest(name, sections().iter().map(|section| section.name)).map(str::to_owned),
            };
            self.problem_at(&key.span(), Some(name.to_owned()), Fault::UnknownSection { meant });
        }
    }

    /// A section that there is once.
    fn room<R: Room>(&mut self, document: &DeTable<'_>) -> R {
        let mut room = R::default();
        match document.get(R::SECTION).map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::Table(table), _)) => self.table(&mut room, ONLY, table),
            Some((_, span)) => self.problem_at(&span, Some(R::SECTION.to_owned()), Fault::NotATable),
            None => {}
        }
        self.environment(&mut room, ONLY);
        for flag in self.flags(R::SECTION) {
            self.flag(&mut room, ONLY, flag);
        }
        room
    }

    /// A section that there can be several of: those of the file, as the environment changes them and adds to them.
    fn rooms<R: Room>(&mut self, document: &DeTable<'_>) -> Vec<R> {
        let mut rooms = self.rooms_of_file(document);
        self.rooms_of_environment(&mut rooms);
        rooms
    }

    /// The listeners of file and environment, unless flags name others; one, if there are none.
    fn listeners(&mut self, document: &DeTable<'_>) -> Vec<Listener> {
        let mut listeners: Vec<Listener> = self.rooms(document);
        let (addresses, others): (Vec<&Flag>, Vec<&Flag>) =
            self.flags(LISTENER).partition(|flag| flag.key.name == "address");
        if !addresses.is_empty() {
            self.places.0.retain(|(section, _, _), _| *section != LISTENER);
            listeners.clear();
        }
        for (number, flag) in (1..).zip(addresses) {
            let mut listener = Listener::default();
            self.flag(&mut listener, number, flag);
            listeners.push(listener);
        }
        if listeners.is_empty() {
            listeners.push(Listener::default());
        }
        for flag in others {
            for (number, listener) in (1..).zip(&mut listeners) {
                self.flag(listener, number, flag);
            }
        }
        listeners
    }

    fn rooms_of_file<R: Room>(&mut self, document: &DeTable<'_>) -> Vec<R> {
        let mut rooms = Vec::new();
        let section = R::SECTION;
        let Some(value) = document.get(section) else { return rooms };
        let DeValue::Array(array) = value.get_ref() else {
            self.problem_at(&value.span(), Some(section.to_owned()), Fault::NotTables { section });
            return rooms;
        };
        for (number, element) in (1..).zip(array.iter()) {
            let mut room = R::default();
            match element.get_ref() {
                DeValue::Table(table) => {
                    if let Some(file) = &self.sources.file {
                        self.places.put(section, number, "", file.place(&element.span()), true);
                    }
                    self.table(&mut room, number, table);
                }
                _ => self.problem_at(&element.span(), Some(section.to_owned()), Fault::NotTables { section }),
            }
            rooms.push(room);
        }
        rooms
    }

    fn rooms_of_environment<R: Room>(&mut self, rooms: &mut Vec<R>) {
        let section = R::SECTION;
        let of_file = rooms.len();
        let mut numbered = BTreeMap::new();
        for name in self.sources.environment.keys().filter(|name| self.sources.variable(name).is_some()) {
            if let Some((number, _)) = numbered_variable(name, section) {
                numbered.entry(number).or_insert(name);
            }
        }
        for (number, name) in numbered {
            if number > rooms.len() + 1 {
                let fault = Fault::UnknownNumber { section, known: of_file };
                self.problem(Origin::Environment(name.clone()), None, fault);
                return;
            }
            if number > rooms.len() {
                rooms.push(R::default());
                self.places.put(section, number, "", Origin::Environment(name.clone()), true);
            }
            if let Some(room) = rooms.get_mut(number - 1) {
                self.environment(room, number);
            }
        }
    }

    fn table<R: Room>(&mut self, room: &mut R, number: usize, table: &DeTable<'_>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            match R::ENTRIES.iter().find(|entry| entry.key.name == name) {
                Some(entry) => self.value(room, number, entry, value),
                None => {
                    let meant = meant_in(R::SECTION, name);
                    let path = format!("{}.{name}", R::SECTION);
                    self.problem_at(&key.span(), Some(path), Fault::UnknownKey { meant });
                }
            }
        }
    }

    fn value<R: Room>(
        &mut self,
        room: &mut R,
        number: usize,
        entry: &Entry<R>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let Some(file) = &self.sources.file else { return };
        let given = Given { value: Value::of(value.get_ref()), folder: file.folder() };
        let origin = file.place(&value.span());
        self.set(room, number, entry, &given, origin, || file.excerpt(&value.span()));
    }

    fn environment<R: Room>(&mut self, room: &mut R, number: usize) {
        for entry in R::ENTRIES {
            let mut names = entry.key.environments(number);
            let found = names.find_map(|name| self.sources.variable(&name).map(|word| (name, word)));
            if let Some((name, word)) = found {
                let given = Given { value: Value::Word(word), folder: None };
                self.set(room, number, entry, &given, Origin::Environment(name), || quoted(&shortened(word)));
            }
        }
    }

    fn flags(&self, section: &'static str) -> impl Iterator<Item = &'a Flag> + use<'a> {
        self.sources.flags.iter().filter(move |flag| flag.key.section == section)
    }

    fn flag<R: Room>(&mut self, room: &mut R, number: usize, flag: &Flag) {
        if let Some(entry) = R::ENTRIES.iter().find(|entry| entry.key.name == flag.key.name) {
            let given = Given { value: Value::Word(&flag.word), folder: None };
            let origin = Origin::Flag(flag.spelled.clone());
            self.set(room, number, entry, &given, origin, || quoted(&shortened(&flag.word)));
        }
    }

    fn set<R: Room>(
        &mut self,
        room: &mut R,
        number: usize,
        entry: &Entry<R>,
        given: &Given<'_>,
        origin: Origin,
        excerpt: impl FnOnce() -> String,
    ) {
        let key = &entry.key;
        let good = (entry.read)(room, given, key.bounds);
        self.places.put(R::SECTION, number, key.name, origin.clone(), good);
        if !good {
            let fault = Fault::NotAllowed { given: excerpt(), allowed: key.allowed() };
            self.problem(origin, Some(key.path()), fault);
        }
    }

    /// A variable that looks like a key and is none is a mistake that would otherwise go unseen.
    fn unknown_variables(&mut self) {
        for name in self.sources.environment.keys() {
            let Some(rest) = sections().iter().find_map(|section| after_section(name, section.name)) else {
                continue;
            };
            // A service of Kubernetes that is called whimbrel-session puts such variables into every
            // container.
            if rest.starts_with("SERVICE_") || rest.starts_with("PORT") || is_variable(name) {
                continue;
            }
            let number = number_in(name).max(1);
            let names: Vec<String> = keys().map(|key| key.environment(number)).collect();
            let meant = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            self.problem(Origin::Environment(name.clone()), None, Fault::UnknownVariable { meant });
        }
    }

    fn problem(&mut self, origin: Origin, key: Option<String>, fault: Fault) {
        let broken = matches!(origin, Origin::Place { line, .. } if self.broken_lines.contains(&line));
        if !broken {
            self.problems.push(Problem { origin, key, fault });
        }
    }

    fn problem_at(&mut self, span: &Range<usize>, key: Option<String>, fault: Fault) {
        let place = |file: &File| file.place(span);
        let origin = self.sources.file.as_ref().map_or(Origin::Default, place);
        self.problem(origin, key, fault);
    }
}

/// The key that may have been meant: one of this section, or one of that name in another.
fn meant_in(section: &str, name: &str) -> Option<String> {
    let here = nearest(name, keys().filter(|key| key.section == section).map(|key| key.name));
    let elsewhere = || keys().find(|key| key.name == name).map(Key::path);
    let exactly_elsewhere = elsewhere();
    exactly_elsewhere.or_else(|| here.map(str::to_owned))
}

/// What follows `WHIMBREL_SECTION_` in the name of a variable.
fn after_section<'a>(variable: &'a str, section: &str) -> Option<&'a str> {
    let rest = variable.strip_prefix("WHIMBREL_")?;
    rest.strip_prefix(&section.to_ascii_uppercase())?.strip_prefix('_')
}

/// The number of one of several and the rest of the name, for `WHIMBREL_LISTENER_1_ADDRESS`.
fn numbered_variable<'a>(name: &'a str, section: &str) -> Option<(usize, &'a str)> {
    let (number, rest) = after_section(name, section)?.split_once('_')?;
    let number = number.parse().ok().filter(|parsed: &usize| *parsed > 0 && parsed.to_string() == number)?;
    Some((number, rest))
}

/// The number in the name of a variable; 0 where it has none.
fn number_in(name: &str) -> usize {
    let numbered =
        sections().into_iter().filter(|section| is_numbered(section.name)).map(|section| section.name);
    numbered
        .filter_map(|section| numbered_variable(name, section))
        .map(|(number, _)| number)
        .next()
        .unwrap_or(0)
}

/// Whether a key has this variable.
fn is_variable(name: &str) -> bool {
    let number = number_in(name);
    keys().any(|key| key.environment(number) == name && (number > 0 || !is_numbered(key.section)))
}
