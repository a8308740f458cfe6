//! A model of a disk: what the recorder saw is played into it, and at any point it says what could be
//! found after the power had failed there.
//!
//! A sync that fails is worse than none: Linux calls the pages clean that it could not write, and a
//! later sync of the file succeeds without them. They are read from memory as before, until the power
//! fails; only who writes a page again has it written.
//!
//! Only what a finished sync covered is certain. Of the rest a file system keeps what it likes: of a
//! file's data, whole pages; of names, by its journal a prefix of all changes in order (ext4, XFS), or
//! in each directory a prefix of its own changes (POSIX promises no more).

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::rng::Rng;

/// The unit in which a kernel writes files back.
const PAGE: usize = 4096;

/// What becomes of data that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// All of it is lost.
    Dropped,
    /// Of each page, some moment's state is kept; so is some moment's length.
    Pages,
    /// The newest writes are kept, and older ones are lost.
    Newest,
    /// All of it is kept, under whatever names are.
    Kept,
}

/// What becomes of names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Changes are kept in order, at least up to the last sync of anything.
    Journaled,
    /// Each directory is as at its own last sync, or some changes later.
    Separate,
}

/// One thing that the recorder saw.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: u8,
    path: String,
    other: String,
    inode: u64,
    /// An offset, a length, or what tells one sync from another.
    number: u64,
    pub(crate) data: Vec<u8>,
}

/// An acknowledgement.
pub(crate) const ACKNOWLEDGED: u8 = b'A';

/// Reads a trace.
pub(crate) fn read_trace(path: &Path) -> Result<Vec<Event>> {
    let bytes = fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<25>() {
        let number = |range: std::ops::Range<usize>| {
            head[range]
                .iter()
                .rev()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let [path, other, data] = [1..3, 3..5, 5..9].map(number);
        let mut after = after;
        let mut take = |length: u64| -> Result<Vec<u8>> {
            let length = usize::try_from(length)?;
            let (taken, left) = after
                .split_at_checked(length)
                .context("a trace is cut short")?;
            after = left;
            Ok(taken.to_vec())
        };
        events.push(Event {
            kind: head[0],
            path: String::from_utf8(take(path)?)?,
            other: String::from_utf8(take(other)?)?,
            inode: number(9..17),
            number: number(17..25),
            data: take(data)?,
        });
        rest = after;
    }
    Ok(events)
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl Change {
    /// The same change, in pieces that lie in one page each.
    fn by_page(self) -> Vec<Self> {
        let Self::Write { mut offset, data } = self else {
            return vec![self];
        };
        let mut pieces = Vec::new();
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(PAGE - offset % PAGE));
            pieces.push(Self::Write {
                offset,
                data: piece.to_vec(),
            });
            offset += piece.len();
            rest = after;
        }
        pieces
    }

    /// Whether both are writes, and to the same page.
    fn shares_page(&self, other: &Self) -> bool {
        let pages = |change: &Self| match change {
            Self::Write { offset, data } => {
                Some((offset / PAGE, (offset + data.len()).div_ceil(PAGE)))
            }
            Self::Length(_) => None,
        };
        match (pages(self), pages(other)) {
            (Some((start, end)), Some((other_start, other_end))) => {
                start < other_end && other_start < end
            }
            _ => false,
        }
    }
}

/// A change to a file that no sync has covered.
#[derive(Debug, Clone)]
struct Pending {
    moment: u64,
    change: Change,
    /// A sync that should have written it has failed: no later one will.
    forgotten: bool,
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

/// A file or a directory. Moments count the events of the trace.
#[derive(Debug, Clone)]
enum Node {
    File {
        mode: u32,
        durable: Vec<u8>,
        pending: Vec<Pending>,
    },
    Directory {
        base: BTreeMap<String, usize>,
        changes: Vec<(u64, NameChange)>,
        durable_to: u64,
    },
}

/// The disk. Node 0 is its root.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: String,
    nodes: Vec<Node>,
    inodes: BTreeMap<u64, usize>,
    now: u64,
    syncs: BTreeMap<u64, u64>,
    /// When the last sync that has finished began.
    journaled_to: u64,
}

impl Disk {
    /// The disk as it is in a directory: everything there is durable.
    pub(crate) fn scan(root: &Path) -> Result<Self> {
        let mut disk = Self {
            root: root.display().to_string(),
            nodes: Vec::new(),
            inodes: BTreeMap::new(),
            now: 0,
            syncs: BTreeMap::new(),
            journaled_to: 0,
        };
        disk.scan_directory(root)?;
        Ok(disk)
    }

    fn scan_directory(&mut self, path: &Path) -> Result<usize> {
        let node = self.add(
            fs::metadata(path)?.ino(),
            Node::Directory {
                base: BTreeMap::new(),
                changes: Vec::new(),
                durable_to: 0,
            },
        );
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let below = if metadata.is_dir() {
                self.scan_directory(&entry.path())?
            } else {
                let durable = fs::read(entry.path())?;
                let mode = metadata.permissions().mode();
                self.add(
                    metadata.ino(),
                    Node::File {
                        mode,
                        durable,
                        pending: Vec::new(),
                    },
                )
            };
            names.insert(entry.file_name().to_string_lossy().into_owned(), below);
        }
        if let Some(Node::Directory { base, .. }) = self.nodes.get_mut(node) {
            *base = names;
        }
        Ok(node)
    }

    fn add(&mut self, inode: u64, node: Node) -> usize {
        self.nodes.push(node);
        self.inodes.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Plays one event.
    pub(crate) fn play(&mut self, event: &Event) -> Result<()> {
        self.now += 1;
        let offset = usize::try_from(event.number)?;
        match event.kind {
            b'C' | b'M' => self.create(event),
            b'W' => self.change(
                event,
                Change::Write {
                    offset,
                    data: event.data.clone(),
                },
            ),
            b'T' => self.change(event, Change::Length(offset)),
            b'U' => {
                let (above, name) = self.split(&event.path)?;
                self.rename(above, NameChange::Remove(name))
            }
            b'R' => {
                let (from, old) = self.split(&event.path)?;
                let (to, new) = self.split(&event.other)?;
                ensure!(
                    from == to,
                    "a rename from one directory to another is not modelled"
                );
                self.rename(from, NameChange::Rename(old, new))
            }
            b'B' => {
                self.syncs.insert(event.number, self.now);
                Ok(())
            }
            b'S' => self.synced(event),
            b'F' => self.sync_failed(event),
            ACKNOWLEDGED => Ok(()),
            _ => bail!("the ledger called {}, which is not modelled", event.path),
        }
    }

    fn create(&mut self, event: &Event) -> Result<()> {
        let (above, name) = self.split(&event.path)?;
        let node = if event.kind == b'M' {
            Node::Directory {
                base: BTreeMap::new(),
                changes: Vec::new(),
                durable_to: 0,
            }
        } else {
            Node::File {
                mode: 0o600,
                durable: Vec::new(),
                pending: Vec::new(),
            }
        };
        let node = self.add(event.inode, node);
        self.rename(above, NameChange::Add(name, node))
    }

    fn change(&mut self, event: &Event, change: Change) -> Result<()> {
        let now = self.now;
        match self.node_mut(event.inode)? {
            Node::File { pending, .. } => {
                // A page that is written to again is written back whole.
                for old in pending
                    .iter_mut()
                    .filter(|old| old.change.shares_page(&change))
                {
                    old.forgotten = false;
                }
                pending.push(Pending {
                    moment: now,
                    change,
                    forgotten: false,
                });
            }
            Node::Directory { .. } => bail!("a directory was written to"),
        }
        Ok(())
    }

    fn rename(&mut self, directory: usize, change: NameChange) -> Result<()> {
        let now = self.now;
        match self.nodes.get_mut(directory) {
            Some(Node::Directory { changes, .. }) => changes.push((now, change)),
            _ => bail!("a name was changed in what is no directory"),
        }
        Ok(())
    }

    /// A sync has ended: what was done before it began is durable.
    fn synced(&mut self, event: &Event) -> Result<()> {
        let begun = self
            .syncs
            .remove(&event.number)
            .context("a sync ended that never began")?;
        self.journaled_to = self.journaled_to.max(begun);
        match self.node_mut(event.inode)? {
            Node::File {
                durable, pending, ..
            } => {
                pending.retain(
                    |Pending {
                         moment,
                         change,
                         forgotten,
                     }| {
                        let covered = *moment < begun && !forgotten;
                        if covered {
                            apply(durable, change);
                        }
                        !covered
                    },
                );
            }
            Node::Directory { durable_to, .. } => *durable_to = begun.max(*durable_to),
        }
        Ok(())
    }

    /// A sync has failed: what it should have written is forgotten by the next one.
    fn sync_failed(&mut self, event: &Event) -> Result<()> {
        if let Node::File { pending, .. } = self.node_mut(event.inode)? {
            let by_page = |old: Pending| {
                let Pending {
                    moment,
                    change,
                    forgotten: _,
                } = old;
                let pieces = change.by_page().into_iter();
                pieces.map(move |change| Pending {
                    moment,
                    change,
                    forgotten: true,
                })
            };
            *pending = std::mem::take(pending)
                .into_iter()
                .flat_map(by_page)
                .collect();
        }
        Ok(())
    }

    fn node_mut(&mut self, inode: u64) -> Result<&mut Node> {
        let node = self
            .inodes
            .get(&inode)
            .context("a file that the recorder never saw created")?;
        self.nodes.get_mut(*node).context("a node")
    }

    /// The directory of a path as it is now, and the name in it.
    fn split(&self, path: &str) -> Result<(usize, String)> {
        let inside = path
            .strip_prefix(&self.root)
            .context("a path outside of the disk")?;
        let mut names: Vec<&str> = inside.split('/').filter(|name| !name.is_empty()).collect();
        let name = names.pop().context("the root itself")?;
        let mut at = 0;
        for above in names {
            let entries = self.names(at, u64::MAX)?;
            at = *entries
                .get(above)
                .with_context(|| format!("{path} lies in no directory"))?;
        }
        Ok((at, name.to_owned()))
    }

    /// The names in a directory, with its changes before a moment.
    fn names(&self, node: usize, before: u64) -> Result<BTreeMap<String, usize>> {
        let Some(Node::Directory { base, changes, .. }) = self.nodes.get(node) else {
            bail!("node {node} is no directory");
        };
        let mut names = base.clone();
        for (_, change) in changes.iter().take_while(|(moment, _)| *moment < before) {
            match change {
                NameChange::Add(name, node) => {
                    names.insert(name.clone(), *node);
                }
                NameChange::Remove(name) => {
                    names.remove(name);
                }
                NameChange::Rename(from, to) => {
                    if let Some(node) = names.remove(from) {
                        names.insert(to.clone(), node);
                    }
                }
            }
        }
        Ok(names)
    }

    /// Writes into a directory what could be found there if the power failed now.
    pub(crate) fn build(&self, to: &Path, data: Data, names: Names, rng: &mut Rng) -> Result<()> {
        let journaled = match names {
            Names::Journaled => self.some_moment(self.journaled_to, rng),
            Names::Separate => u64::MAX,
        };
        self.build_directory(0, to, data, names, journaled, rng)
    }

    /// A moment from `from` up to now: half of the time `from` itself.
    fn some_moment(&self, from: u64, rng: &mut Rng) -> u64 {
        let later = usize::try_from(self.now + 1 - from).unwrap_or(usize::MAX);
        if rng.one_in(2) {
            from
        } else {
            from + u64::try_from(rng.below(later)).unwrap_or(0)
        }
    }

    fn build_directory(
        &self,
        node: usize,
        to: &Path,
        data: Data,
        names: Names,
        journaled: u64,
        rng: &mut Rng,
    ) -> Result<()> {
        fs::create_dir_all(to)?;
        let before = match self.nodes.get(node) {
            Some(Node::Directory { durable_to, .. }) if names == Names::Separate => {
                self.some_moment(*durable_to, rng)
            }
            _ => journaled,
        };
        for (name, below) in self.names(node, before)? {
            let path = to.join(name);
            match self.nodes.get(below).context("a node")? {
                Node::Directory { .. } => {
                    self.build_directory(below, &path, data, names, journaled, rng)?;
                }
                Node::File {
                    mode,
                    durable,
                    pending,
                } => {
                    fs::write(&path, content(durable, pending, data, rng))?;
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
                }
            }
        }
        Ok(())
    }

    /// Compares the disk as it is now with the real directory: nothing may have escaped the recorder.
    pub(crate) fn compare(&self, with: &Path) -> Result<()> {
        self.compare_directory(0, with)
    }

    fn compare_directory(&self, node: usize, with: &Path) -> Result<()> {
        let names = self.names(node, u64::MAX)?;
        let mut real: Vec<String> = Vec::new();
        for entry in fs::read_dir(with)? {
            real.push(entry?.file_name().to_string_lossy().into_owned());
        }
        real.sort();
        let modelled: Vec<&String> = names.keys().collect();
        ensure!(
            modelled == real.iter().collect::<Vec<_>>(),
            "{} has {real:?}, not {modelled:?}",
            with.display()
        );
        for (name, below) in &names {
            let path = with.join(name);
            match self.nodes.get(*below).context("a node")? {
                Node::Directory { .. } => self.compare_directory(*below, &path)?,
                Node::File {
                    durable, pending, ..
                } => {
                    let mut bytes = durable.clone();
                    for Pending { change, .. } in pending {
                        apply(&mut bytes, change);
                    }
                    ensure!(
                        fs::read(&path)? == bytes,
                        "something wrote to {} unseen",
                        path.display()
                    );
                }
            }
        }
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
        Change::Length(length) => bytes.resize(*length, 0),
    }
}

/// What is found in a file.
fn content(durable: &[u8], pending: &[Pending], data: Data, rng: &mut Rng) -> Vec<u8> {
    let changes = || pending.iter().map(|pending| &pending.change);
    let mut bytes = durable.to_vec();
    match data {
        Data::Dropped => {}
        Data::Kept => changes().for_each(|change| apply(&mut bytes, change)),
        Data::Newest => {
            let lost = rng.below(pending.len() + 1);
            changes()
                .skip(lost)
                .for_each(|change| apply(&mut bytes, change));
        }
        Data::Pages if pending.is_empty() => {}
        Data::Pages => return some_pages(durable, pending, rng),
    }
    bytes
}

/// Each page as it was at some moment, in a file as long as it was at some moment.
fn some_pages(durable: &[u8], pending: &[Pending], rng: &mut Rng) -> Vec<u8> {
    let mut final_state = durable.to_vec();
    let mut lengths = vec![durable.len()];
    for Pending { change, .. } in pending {
        apply(&mut final_state, change);
        lengths.push(final_state.len());
    }
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut pages: Vec<Vec<u8>> = Vec::new();
    for start in (0..longest).step_by(PAGE) {
        let mut page = vec![0; PAGE];
        let old = durable
            .get(start..durable.len().min(start + PAGE))
            .unwrap_or_default();
        page[..old.len()].copy_from_slice(old);
        let touches: Vec<&Change> = pending
            .iter()
            .map(|pending| &pending.change)
            .filter(|change| touches(change, start))
            .collect();
        let kept = rng.below(touches.len() + 1);
        for change in touches.into_iter().take(kept) {
            apply_to_page(&mut page, start, change);
        }
        pages.push(page);
    }
    let mut bytes = pages.concat();
    let length = if rng.one_in(2) {
        final_state.len()
    } else {
        lengths[rng.below(lengths.len())]
    };
    bytes.resize(length, 0);
    bytes
}

fn touches(change: &Change, start: usize) -> bool {
    match change {
        Change::Write { offset, data } => *offset < start + PAGE && start < offset + data.len(),
        Change::Length(length) => *length < start + PAGE,
    }
}

fn apply_to_page(page: &mut [u8], start: usize, change: &Change) {
    match change {
        Change::Write { offset, data } => {
            let from = start.max(*offset);
            let to = (start + PAGE).min(offset + data.len());
            page[from - start..to - start].copy_from_slice(&data[from - offset..to - offset]);
        }
        Change::Length(length) => page[length.saturating_sub(start)..].fill(0),
    }
}
