//! Where each file starts: from the position of an earlier run, wherever it is called now; from a
//! rotated file that nobody saw; or as `start_at` says. Nothing is read here that is handed over.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing_rules::model::Timestamp;

use super::Closed;
use super::departed::Reused;
use super::file::Place;
use super::identity::{self, FileId};
use super::listing::Found;
use super::losses::LossKind;
use super::opened::Look;
use super::poller::{LINGER, Tailer};
use super::reconcile::Sighting;
use super::table::FileNo;
use super::{FirstStart, StartAt};
use crate::clock;
use crate::inputs::utf16::Encoding;
use crate::inputs::{Event, Position};
use crate::threads;

/// So often, at one start, files that are missing are looked for again.
const MOST_RENAMES: u32 = 3;
/// Pause before that: logrotate renames a hundred files in less.
const RENAMES_TAKE: Duration = Duration::from_millis(20);

/// What becomes of a position of an earlier run.
#[derive(Debug)]
enum Fate {
    /// Its file is followed.
    Resumed(FileNo),
    /// Its file has no name that could be found, and was still open.
    Inherited,
    /// Its file is not what it was.
    Another(Box<Sighting>),
    /// Nobody can say: its file cannot be read.
    Unreadable,
    /// Nobody can say: its file's name has changed just now.
    Moving,
    /// Its file has no name that could be found.
    Nowhere,
}

/// What came of going on with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumed {
    As(FileNo),
    /// It could be read, and is not what was read before.
    Another,
    /// It could not be read, or has another name by now.
    Unopened,
}

impl Tailer<'_> {
    /// Gives every file its starting position and says so.
    pub(super) fn start(&mut self) -> Result<(), Closed> {
        self.look_for_own();
        let (mut sightings, _) = self.walk();
        sightings.sort_by_key(Sighting::age);
        for input in 0..self.configs.len() {
            let is_own = |sighting: &mut Sighting| sighting.input == input;
            let own: Vec<Sighting> = sightings.extract_if(.., is_own).collect();
            self.start_from_saved(input, &own)?;
            for sighting in &own {
                self.start_new(sighting);
            }
        }
        self.examine_claimed()?;
        self.chain();
        for no in self.table.numbers() {
            self.enqueue_unread(no);
            self.tell(no)?;
        }
        for (input, position) in std::mem::take(&mut self.taken_over) {
            self.forget_unless_followed(input, &position)?;
        }
        self.kept.clear(); // what has a name was opened by it
        self.let_go_of_quiet(self.attention.now())?; // agents may follow each other quickly
        self.gauge();
        for config in &self.configs {
            (self.send)(Event::Ready(config.id))?;
        }
        // A link may lead into a folder that is not watched yet.
        self.scan_now = true;
        Ok(())
    }

    fn enqueue_unread(&mut self, no: FileNo) {
        let rests_since = clock::now().minus(LINGER);
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let metadata = file.file().and_then(fs::File::metadata);
        match metadata {
            Ok(metadata) if metadata.size() == file.read_position() => {
                file.look = Look::of(&metadata);
                // Agents that are ended one after the other never see it rest for that long.
                file.done |= file.place != Place::Here
                    && file.is_all_read()
                    && file.look.modified_at() < rests_since;
            }
            _ => self.enqueue(no),
        }
    }

    fn start_from_saved(&mut self, input: usize, sightings: &[Sighting]) -> Result<(), Closed> {
        let seen: HashMap<FileId, &Sighting> = sightings
            .iter()
            .map(|s| (FileId::of(&s.metadata), s))
            .collect();
        // The others stay there meanwhile, so that no file that has a position is taken for a copy.
        let saved = self.homeless.get(input).cloned().unwrap_or_default();
        self.note_families(input, &saved);
        let mut keep = Vec::new();
        let mut bereft = Vec::new();
        let mut unfound = Vec::new();
        let mut unsettled = Vec::new();
        for position in &saved {
            let door = self.folders.door(&position.path);
            let found = seen.get(&id_of(position)).map(|s| (*s).clone());
            let found = found.or_else(|| self.locate(input, position));
            if found.as_ref().is_some_and(|sighting| self.is_own(sighting)) {
                (self.send)(Event::Forget(position.key.clone()))?;
                continue;
            }
            let fate = self.fate(input, position, found);
            unsettled.push((position, door, fate));
        }
        self.look_again(input, &mut unsettled);
        for (position, door, fate) in unsettled {
            match fate {
                Fate::Resumed(no) => {
                    if self.table.get(no).is_some_and(|file| file.door != door) {
                        bereft.push((position, door));
                    }
                }
                Fate::Inherited => bereft.push((position, door)),
                Fate::Moving | Fate::Unreadable => keep.push(position.clone()),
                Fate::Another(at) => unfound.push((position, door, Some(*at))),
                Fate::Nowhere => unfound.push((position, door, None)),
            }
        }
        // Only now, when every file that has a position of its own is known to have it: whatever else
        // has the inode of a position is another file. Those that are kept are not: a file whose
        // name has changed just now must not be taken for a rotation that nobody saw.
        if let Some(homeless) = self.homeless.get_mut(input) {
            *homeless = keep;
        }
        let mut keep = Vec::new();
        for (position, door, found) in unfound {
            if self.start_bereft(input, position, &door, found.as_ref(), &seen)? {
                bereft.push((position, door));
            } else {
                keep.push(position.clone()); // its folder may come back
            }
        }
        for (position, door) in bereft {
            self.start_unseen_rotations(input, position, &door);
        }
        if let Some(homeless) = self.homeless.get_mut(input) {
            homeless.extend(keep);
        }
        Ok(())
    }

    /// When an earlier run saw each family: the positions under the name that the input means say so. Only
    /// where there is none do those under names that files have got since: they may be of a time when
    /// others of the family had not been looked into.
    fn note_families(&mut self, input: usize, saved: &[Position]) {
        let mut by_others: HashMap<PathBuf, Timestamp> = HashMap::new();
        for position in saved {
            let door = self.folders.door(&position.path);
            if means_path(self, input, &position.path) {
                let since = self.family_since.entry((input, door));
                let since = since.or_insert(position.seen_at);
                *since = position.seen_at.max(*since);
            } else {
                for base in self.meant_bases(input, &door) {
                    let since = by_others.entry(base).or_insert(position.seen_at);
                    *since = position.seen_at.max(*since);
                }
            }
        }
        for (base, since) in by_others {
            self.family_since.entry((input, base)).or_insert(since);
        }
    }

    /// What becomes of a position whose file was `found`.
    fn fate(&mut self, input: usize, position: &Position, found: Option<Sighting>) -> Fate {
        let Some(found) = found else {
            return match self.inherit(input, position) {
                Some(_) => Fate::Inherited,
                None => Fate::Nowhere,
            };
        };
        match self.resume(&found, position) {
            Resumed::As(no) => Fate::Resumed(no),
            // Whatever its name is by now.
            Resumed::Another => Fate::Another(Box::new(found)),
            // Nobody can say whether it is what was read: its position waits for that.
            Resumed::Unopened
                if self
                    .complained
                    .contains_key(&(found.input, found.path.clone())) =>
            {
                Fate::Unreadable
            }
            Resumed::Unopened => Fate::Moving,
        }
    }

    /// Names may be changing at this very moment, and a folder that is listed meanwhile may show a file
    /// under its old name, or not at all: that must not make anybody take it for gone. So what is not
    /// found where it should be is looked for again, a few times.
    fn look_again(&mut self, input: usize, positions: &mut [(&Position, PathBuf, Fate)]) {
        for _ in 0..MOST_RENAMES {
            let is_open = |fate: &Fate| matches!(fate, Fate::Nowhere | Fate::Moving);
            if !positions.iter().any(|(_, _, fate)| is_open(fate)) {
                return;
            }
            threads::pause(RENAMES_TAKE);
            self.listings.forget();
            for (position, _, fate) in positions.iter_mut().filter(|(_, _, fate)| is_open(fate)) {
                let found = self.locate(input, position);
                *fate = self.fate(input, position, found);
            }
        }
    }

    /// The file of a position is gone, or is another one: looks for what has become of it. Says
    /// whether that could be found out.
    fn start_bereft(
        &mut self,
        input: usize,
        position: &Position,
        door: &Path,
        found: Option<&Sighting>,
        seen: &HashMap<FileId, &Sighting>,
    ) -> Result<bool, Closed> {
        if found.is_some() && !position.done {
            self.counters.truncations.add(1);
        }
        let copy = self.find_copy(input, position, door, position.seen_at, None)?;
        if found.is_none() && copy.is_none() && !self.listings.can(door.parent().unwrap_or(door)) {
            return Ok(false);
        }
        // A file that is read again has the same key, and a position of its own soon.
        let read_again = seen.contains_key(&id_of(position));
        let reused = if found.is_some() {
            Reused::Yes
        } else {
            Reused::No
        };
        if copy.is_none()
            && self
                .claim(input, position, door, reused, self.scanned_at)
                .is_some()
        {
            return Ok(true); // forgotten when it has turned out
        }
        self.report_lost(input, position, found.is_some(), copy.is_some());
        if !read_again {
            (self.send)(Event::Forget(position.key.clone()))?;
        }
        Ok(true)
    }

    fn report_lost(&mut self, input: usize, position: &Position, found: bool, copied: bool) {
        if copied {
            let path = position.path.display();
            tracing::info!(file = %path, "truncated while nobody looked: its copy is read to the end");
        } else if position.done {
            tracing::debug!(file = %position.path.display(), "a rotated file that was read is gone");
        } else if found {
            self.lose(input, &position.path, LossKind::Truncated, None);
        } else {
            self.counters.files_lost.add(1);
            self.lose(input, &position.path, LossKind::Vanished, None);
        }
    }

    /// Finds the file of a position that no pattern leads to: at its path, or in its folder.
    pub(super) fn locate(&mut self, input: usize, position: &Position) -> Option<Sighting> {
        let id = id_of(position);
        let door = self.folders.door(&position.path);
        let is_it = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| FileId::of(&found) == id);
        let at = Some(door.clone()).filter(is_it).or_else(|| {
            let found = self
                .listings
                .find(door.parent()?, id, self.scanned_at, |path| {
                    is_it(&path.to_owned())
                });
            match found {
                Found::At(path) => Some(path),
                Found::Reused | Found::Nowhere | Found::Later => None,
            }
        })?;
        let metadata = fs::metadata(&at).ok()?;
        let path = match at.file_name().filter(|_| at.parent() == door.parent()) {
            Some(name) => position.path.with_file_name(name),
            None => at.clone(),
        };
        Some(Sighting {
            input,
            path,
            door: at,
            metadata,
            origin: None,
        })
    }

    /// Follows the file from `position`, if it is the file that was read.
    fn resume(&mut self, sighting: &Sighting, position: &Position) -> Resumed {
        let Some(no) = self.take_in(sighting) else {
            return Resumed::Unopened;
        };
        let resumed = self.table.get_mut(no).map(|file| file.resume(position));
        match resumed {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => {
                self.table.remove(no);
                return Resumed::Another;
            }
            Some(Err(error)) => {
                self.complain(sighting.input, &sighting.path, &error);
                self.table.remove(no);
                return Resumed::Unopened;
            }
        }
        let origin = self.folders.door(&position.path);
        let means = means_path(self, sighting.input, &sighting.path);
        if origin != sighting.door || !means {
            let place = if means && !means_path(self, sighting.input, &position.path) {
                Place::Here
            } else {
                Place::Moved
            };
            self.table.relocate(no, |file| {
                file.place = place;
                file.origin = origin;
            });
            if place == Place::Moved {
                self.displaced.insert(no);
            }
        }
        Resumed::As(no)
    }

    /// Files that had the name of `position` for a while when nobody looked, and were rotated away.
    fn start_unseen_rotations(&mut self, input: usize, position: &Position, door: &Path) {
        if !means_path(self, input, &position.path) {
            return; // it had been rotated away already
        }
        for sighting in self.unseen_rotations(input, door, position.seen_at) {
            let Some(no) = self.take_in(&sighting) else {
                continue;
            };
            if let Some(file) = self.table.get_mut(no) {
                file.unseen = file.packed.is_none();
                if file.unseen {
                    self.goes_on(no, door);
                }
            }
            if let Some(origin) = sighting.origin {
                self.has_moved_from(no, origin);
            }
        }
    }

    /// A file without a position.
    fn start_new(&mut self, sighting: &Sighting) {
        if self
            .table
            .find(sighting.input, FileId::of(&sighting.metadata))
            .is_some()
        {
            return;
        }
        if self.has_position(sighting) {
            self.scan_now = true; // it goes on from there when its name stands still
            return;
        }
        if !sighting.metadata.is_file() {
            let what = io::Error::new(io::ErrorKind::Unsupported, "not a regular file");
            self.complain(sighting.input, &sighting.path, &what);
            return;
        }
        let start_at = self
            .configs
            .get(sighting.input)
            .map(|config| config.start_at);
        let taken = self.take_in(sighting);
        let Some(no) = taken.or_else(|| self.take_in_moved(sighting)) else {
            return;
        };
        let packed = self.table.get(no).is_some_and(|file| file.packed.is_some());
        match (self.first_start, start_at) {
            (FirstStart::No, _) if packed => {} // what it is will be found out
            (FirstStart::Yes, Some(StartAt::Beginning)) if packed => {
                if let Some(file) = self.table.get_mut(no) {
                    file.read_text();
                }
            }
            (FirstStart::Yes, Some(StartAt::End)) | (FirstStart::Lost, _) => {
                if let Err(error) = self.start_at_end(no) {
                    self.complain(sighting.input, &sighting.path, &error);
                }
            }
            (FirstStart::Yes, _) => {}
            (FirstStart::No, _) => self.suspect(no),
        }
    }

    /// Takes in a file that has lost its name since it was seen: nobody else would look for it.
    fn take_in_moved(&mut self, sighting: &Sighting) -> Option<FileNo> {
        let id = FileId::of(&sighting.metadata);
        let folder = sighting.door.parent()?;
        for _ in 0..MOST_RENAMES {
            if leads_to(&sighting.path, id) {
                return None; // it cannot be opened
            }
            self.listings.forget();
            let found = self
                .listings
                .find(folder, id, self.scanned_at, |path| leads_to(path, id));
            let Found::At(door) = found else {
                return None;
            };
            let moved = Sighting {
                path: sighting.path.with_file_name(door.file_name()?),
                door,
                ..sighting.clone()
            };
            if let Some(no) = self.take_in(&moved) {
                self.has_moved_from(no, sighting.door.clone());
                return Some(no);
            }
            threads::pause(RENAMES_TAKE);
        }
        None
    }

    /// Whether a position waits for this file.
    fn has_position(&self, sighting: &Sighting) -> bool {
        let id = FileId::of(&sighting.metadata);
        let homeless = self.homeless.get(sighting.input);
        homeless.is_some_and(|homeless| homeless.iter().any(|position| id_of(position) == id))
    }

    fn start_at_end(&mut self, no: FileNo) -> io::Result<()> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let size = file.file()?.metadata()?.size();
        if file.packed.is_some() {
            return file.pass_over(size);
        }
        let mut mark = [0; 2];
        identity::read_at(file.file()?, &mut mark, 0)?;
        let encoding = Encoding::of(&mark);
        let start = identity::last_line_start(file.file()?, size, encoding, &mut self.scratch)?;
        file.start_at(start)
    }
}

/// Whether there is the file of this id.
fn leads_to(path: &Path, id: FileId) -> bool {
    fs::metadata(path).is_ok_and(|metadata| FileId::of(&metadata) == id)
}

fn id_of(position: &Position) -> FileId {
    FileId {
        device: position.key.device,
        inode: position.key.inode,
    }
}

fn means_path(tailer: &Tailer<'_>, input: usize, path: &Path) -> bool {
    tailer
        .configs
        .get(input)
        .is_some_and(|config| config.means(path))
}
