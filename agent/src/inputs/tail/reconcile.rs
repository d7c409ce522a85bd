//! Names against files: what was seen on the disk is compared to what is followed. Finds renamed
//! files again, notices that others are gone, and takes in new ones.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapwing_rules::model::Source;

use super::Closed;
use super::file::{self, Place, Tailed};
use super::identity::FileId;
use super::listing::Found;
use super::opened;
use super::pattern::{Walked, rotation_order};
use super::poller::Tailer;
use super::table::FileNo;
use crate::clock;
use crate::inputs::{Event, Position};

/// Something that an input means.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) input: usize,
    pub(super) path: PathBuf,
    pub(super) door: PathBuf,
    pub(super) metadata: Metadata,
    /// The door at which the file was before, where that is known to be another one.
    pub(super) origin: Option<PathBuf>,
}

impl Sighting {
    /// Ascending from old to young: by the last write, and by name where that does not tell.
    pub(super) fn age(&self) -> (i64, i64, i32, PathBuf) {
        let order = rotation_order(self.door.file_name().unwrap_or_default());
        (
            self.metadata.mtime(),
            self.metadata.mtime_nsec(),
            order,
            self.path.clone(),
        )
    }
}

/// A folder that appears during a scan is walked again at once, so many levels deep.
const MAX_WALKS: usize = 8;

impl Tailer<'_> {
    /// Looks at paths that came, went or changed.
    pub(super) fn touched(&mut self, doors: &HashSet<PathBuf>) -> Result<(), Closed> {
        if doors.is_empty() {
            return Ok(());
        }
        let (mut sightings, mut seen, mut doubted) = (Vec::new(), HashMap::new(), BTreeSet::new());
        for door in doors {
            doubted.extend(self.table.paths.at(door));
            match fs::metadata(door) {
                Ok(metadata) if metadata.is_dir() => self.scan_now |= self.is_on_the_way(door),
                Ok(metadata) => {
                    seen.insert(FileId::of(&metadata), door.clone());
                    self.sightings_at(door, &metadata, &mut sightings);
                    self.unseen_at(door, &mut sightings);
                }
                // A folder that is gone, or a link into one.
                Err(_) => self.scan_now |= self.folders.knows(door),
            }
        }
        self.reconcile(sightings, &seen, &doubted)
    }

    fn is_on_the_way(&self, door: &Path) -> bool {
        self.folders.knows(door)
            || self.folders.aliases(door).iter().any(|path| {
                self.configs
                    .iter()
                    .flat_map(|config| &config.paths)
                    .any(|pattern| pattern.reaches(path))
            })
    }

    fn sightings_at(&self, door: &Path, metadata: &Metadata, sightings: &mut Vec<Sighting>) {
        for path in self.folders.aliases(door) {
            for (input, config) in self.configs.iter().enumerate() {
                if config.means(&path) {
                    let (path, metadata) = (path.clone(), metadata.clone());
                    sightings.push(Sighting {
                        input,
                        path,
                        door: door.to_owned(),
                        metadata,
                        origin: None,
                    });
                }
            }
        }
    }

    /// What has just come to `door` may have had a name that an input means for a moment only.
    fn unseen_at(&self, door: &Path, sightings: &mut Vec<Sighting>) {
        for (input, config) in self.configs.iter().enumerate() {
            if !self
                .folders
                .aliases(door)
                .iter()
                .any(|path| config.means(path))
            {
                let unseen = self.unseen_rotation_at(input, door, self.started_at);
                sightings.extend(unseen.filter(|sighting| sighting.origin.is_some()));
            }
        }
    }

    /// Looks at everything.
    pub(super) fn scan(&mut self) -> Result<(), Closed> {
        let began = clock::now();
        self.stop_following_own()?;
        let (mut sightings, mut there) = self.walk();
        sightings.extend(self.returned());
        let seen: HashMap<FileId, PathBuf> = sightings
            .iter()
            .map(|s| (FileId::of(&s.metadata), s.door.clone()))
            .collect();
        if !self.complained.is_empty() {
            there.extend(sightings.iter().map(|s| (s.input, s.path.clone())));
        }
        let doubted = self.not_at_their_names(&seen);
        let known = self.table.numbers().last().copied();
        self.reconcile(sightings, &seen, &doubted)?;
        self.settle(began, self.table.some_behind(known, 1).len());
        self.drop_complaints(&there);
        for no in self.table.numbers() {
            if self.table.get(no).is_some_and(|file| file.failing) {
                self.enqueue(no);
            }
            // Of the others it was seen just now whether they were written to.
            if doubted.contains(&no) {
                self.look_at(no);
            }
        }
        // A file that lost its name in between is found by the next scan, not by a busy loop.
        self.scan_now = false;
        self.prune_families();
        self.gauge();
        Ok(())
    }

    /// The files that were not just seen where they are known to be. The others need not be asked for
    /// one by one: most of the cost of many idle files is here.
    fn not_at_their_names(&mut self, seen: &HashMap<FileId, PathBuf>) -> BTreeSet<FileNo> {
        let now = clock::now();
        let mut doubted = BTreeSet::new();
        for (no, file) in self.table.iter_mut() {
            if file.place == Place::Here && seen.get(&file.id) == Some(&file.door) {
                file.missed_at = None;
                file.named_at = now;
            } else {
                doubted.insert(no);
            }
        }
        doubted
    }

    /// Everything that the inputs mean and that is there, and what could not be looked at, by input;
    /// the folders on the way are watched.
    pub(super) fn walk(&mut self) -> (Vec<Sighting>, HashSet<(usize, PathBuf)>) {
        for _ in 0..MAX_WALKS {
            let mut folders: HashSet<PathBuf> = HashSet::new();
            let mut files = Vec::new();
            let mut troubles = HashMap::new();
            let mut dangling = 0;
            for (input, config) in self.configs.iter().enumerate() {
                let mut walked = Walked::default();
                config
                    .paths
                    .iter()
                    .for_each(|pattern| pattern.walk(&mut walked));
                folders.extend(walked.folders);
                dangling += walked.dangling;
                let troubled = walked.troubles.into_iter();
                troubles.extend(troubled.map(|(path, error)| ((input, path), error)));
                let meant = walked
                    .files
                    .into_iter()
                    .filter(|(path, _)| config.means(path));
                files.extend(meant.map(|(path, metadata)| (input, path, metadata)));
            }
            let real = self
                .table
                .iter()
                .filter(|(_, file)| file.place != Place::Gone);
            folders.extend(
                real.filter_map(|(_, file)| file.real.parent())
                    .map(Path::to_owned),
            );
            if self.folders.watch(folders) {
                continue; // what came before the notices began must not be overlooked
            }
            self.sweep.dangling = dangling;
            for ((input, path), error) in &troubles {
                self.complain(*input, path, error);
            }
            let sighting = |(input, path, metadata): (usize, PathBuf, Metadata)| {
                let door = self.folders.door(&path);
                Sighting {
                    input,
                    path,
                    door,
                    metadata,
                    origin: None,
                }
            };
            let sightings = files.into_iter().map(sighting).collect();
            return (sightings, troubles.into_keys().collect());
        }
        (Vec::new(), HashSet::new())
    }

    fn reconcile(
        &mut self,
        mut sightings: Vec<Sighting>,
        seen: &HashMap<FileId, PathBuf>,
        doubted: &BTreeSet<FileNo>,
    ) -> Result<(), Closed> {
        // What is asked of a folder was seen before this.
        self.listings.forget();
        for &no in doubted {
            let now = clock::now();
            let Some(file) = self
                .table
                .get_mut(no)
                .filter(|file| file.place != Place::Gone)
            else {
                continue;
            };
            if file.is_at_its_name() {
                file.missed_at = None;
                file.named_at = now;
                continue;
            }
            if file.place == Place::Here {
                let (input, door, since) = (file.input, file.door.clone(), file.named_at);
                sightings.extend(self.unseen_rotations(input, &door, since));
            }
            self.find_again(no, seen)?;
        }
        self.settle_bereft()?;
        sightings.extend(self.unseen_before(&sightings));
        sightings.extend(self.overlooked_by_start());
        // Of several new files the order of their lines is that of their writing.
        for sighting in self.in_order(sightings) {
            self.sighted(sighting)?;
        }
        self.settle_bereft()
    }

    /// A new file may not be the first one that had its name since the last look: those that were
    /// rotated away before it have to be read before it.
    fn unseen_before(&mut self, sightings: &[Sighting]) -> Vec<Sighting> {
        let is_new = |s: &&Sighting| self.table.find(s.input, FileId::of(&s.metadata)).is_none();
        // It may itself be a rotation that was noticed before the others.
        let names = |s: &Sighting| {
            let bases = self.meant_bases(s.input, &s.door).collect::<Vec<_>>();
            let names = [s.door.clone()].into_iter().chain(bases);
            let input = s.input;
            names.map(move |name| (input, name))
        };
        let new: HashSet<(usize, PathBuf)> =
            sightings.iter().filter(is_new).flat_map(names).collect();
        let since = self.started_at;
        let unseen = |(input, door): (usize, PathBuf)| self.unseen_rotations(input, &door, since);
        new.into_iter().flat_map(unseen).collect()
    }

    /// `no` has lost its name: which one does it have now?
    fn find_again(&mut self, no: FileNo, seen: &HashMap<FileId, PathBuf>) -> Result<(), Closed> {
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        if file.place == Place::Here && file.is_at(&file.real) {
            // Its link leads elsewhere now.
            self.displace(no, |file| file.place = Place::Moved);
            return Ok(());
        }
        let missed_at = file.missed_at.unwrap_or_else(clock::monotonic);
        let door = seen.get(&file.id).filter(|door| file.is_at(door));
        let found = match (door, file.real.parent()) {
            (Some(door), _) => Found::At(door.clone()),
            (None, Some(folder)) => self
                .listings
                .find(folder, file.id, missed_at, |path| file.is_at(path)),
            (None, None) => Found::Nowhere,
        };
        if let Some(file) = self.table.get_mut(no) {
            file.missed_at = Some(missed_at).filter(|_| found == Found::Later);
        }
        match &found {
            Found::At(door) => return self.rename(no, door.clone()),
            Found::Later => {
                self.scan_soon = true;
                return Ok(());
            }
            Found::Reused | Found::Nowhere => {}
        }
        self.displace(no, |file| file.place = Place::Gone);
        if found == Found::Reused || self.table.get(no).is_some_and(|file| file.let_go) {
            self.let_go(no)?;
        }
        Ok(())
    }

    /// `no` is found at `door` now.
    fn rename(&mut self, no: FileNo, door: PathBuf) -> Result<(), Closed> {
        let real = fs::canonicalize(&door).unwrap_or_else(|_| door.clone());
        self.displace(no, |file| {
            file.path = match door
                .file_name()
                .filter(|_| door.parent() == file.door.parent())
            {
                Some(name) => file.path.with_file_name(name),
                None => door.clone(),
            };
            file.place = if door == file.origin {
                Place::Here
            } else {
                Place::Moved
            };
            file.door = door;
            file.real = real;
        });
        self.tell(no)
    }

    /// Says where reading of a file stands, if that is known.
    pub(super) fn tell(&mut self, no: FileNo) -> Result<(), Closed> {
        let seen_at = self.seen_at(no);
        match self.table.get(no).filter(|file| !file.is_unsure()) {
            Some(file) => (self.send)(Event::Moved(file.position(seen_at))),
            None => Ok(()),
        }
    }

    /// Changes where a file is, and what follows from that.
    fn displace(&mut self, no: FileNo, change: impl FnOnce(&mut Tailed)) {
        let now = self.attention.now();
        self.table.relocate(no, |file| {
            change(file);
            file.quiet_since = now;
        });
        match self.table.get(no) {
            Some(file) if file.place == Place::Here => self.displaced.remove(&no),
            Some(file) if !file.let_go => self.displaced.insert(no),
            _ => false,
        };
        self.enqueue(no);
    }

    fn sighted(&mut self, sighting: Sighting) -> Result<(), Closed> {
        let id = FileId::of(&sighting.metadata);
        self.expose(sighting.input, id, &sighting.door);
        let Some(no) = self.table.find(sighting.input, id) else {
            if sighting.metadata.is_file() {
                self.admit(&sighting)?;
            } else if !sighting.metadata.is_dir() {
                let what = io::Error::new(io::ErrorKind::Unsupported, "not a regular file");
                self.complain(sighting.input, &sighting.path, &what);
            }
            return Ok(());
        };
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        if file.place == Place::Gone {
            return self.rename(no, sighting.door);
        }
        if file.place == Place::Moved && file.door == sighting.door && file.origin == sighting.door
        {
            // Its link leads to it again.
            self.displace(no, |file| file.place = Place::Here);
        } else {
            self.compare_look(no, &sighting.metadata);
        }
        Ok(())
    }

    /// Follows a new file: from where an earlier run had stopped, or from its beginning.
    fn admit(&mut self, sighting: &Sighting) -> Result<(), Closed> {
        let Some(no) = self.take_in(sighting) else {
            return Ok(());
        };
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let homeless = self.homeless.get_mut(file.input);
        let key = file.key();
        let position: Option<Position> = homeless.and_then(|positions| {
            let at = positions.iter().position(|position| position.key == key)?;
            Some(positions.swap_remove(at))
        });
        let resumed = match position.as_ref().map(|position| file.resume(position)) {
            Some(Ok(resumed)) => resumed,
            None => false,
            // Its position stays for the next scan.
            Some(Err(error)) => {
                self.table.remove(no);
                if let Some(homeless) = self.homeless.get_mut(sighting.input) {
                    homeless.extend(position);
                }
                self.complain(sighting.input, &sighting.path, &error);
                return Ok(());
            }
        };
        if let Some(origin) = &sighting.origin {
            file.unseen = !resumed && file.packed.is_none();
            self.has_moved_from(no, origin.clone());
        }
        if !resumed || sighting.origin.is_some() {
            self.follow_on(no);
        }
        if !resumed {
            let origin = sighting.origin.as_deref();
            if self.table.get(no).is_some_and(|file| file.packed.is_some()) {
                self.examine(no)?;
            } else if !origin.is_some_and(|origin| self.goes_on(no, origin)) {
                self.suspect(no);
            }
        }
        self.tell(no)?;
        self.enqueue(no);
        Ok(())
    }

    /// It is known to have been at `origin` before.
    pub(super) fn has_moved_from(&mut self, no: FileNo, origin: PathBuf) {
        self.table.relocate(no, |file| {
            file.place = Place::Moved;
            file.origin = origin;
        });
        self.displaced.insert(no);
    }

    /// Opens a file and keeps it, at its first byte. `None` when it cannot be opened, or when it
    /// is followed by now.
    pub(super) fn take_in(&mut self, sighting: &Sighting) -> Option<FileNo> {
        if self.is_own(sighting) {
            return None;
        }
        let id = FileId::of(&sighting.metadata);
        let kept = self.take_kept(sighting.input, id);
        let kept = kept.and_then(|file| file.metadata().ok().map(|metadata| (file, metadata)));
        let (file, metadata) = match kept.map_or_else(|| opened::open(&sighting.path), Ok) {
            Ok(opened) => opened,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complain(sighting.input, &sighting.path, &error);
                }
                return None;
            }
        };
        self.no_complaint(sighting.input, &sighting.path);
        if FileId::of(&metadata) != id {
            self.scan_now = true; // replaced this instant: it is looked at again
            return None;
        }
        let config = self.configs.get(sighting.input)?;
        if self.table.find(sighting.input, id).is_some() {
            return None;
        }
        let real = fs::canonicalize(&sighting.path).unwrap_or_else(|_| sighting.door.clone());
        if real
            .parent()
            .is_some_and(|folder| !self.folders.knows(folder))
        {
            self.scan_now = true; // so that its folder is watched, too
        }
        let name = sighting.path.to_string_lossy().into_owned();
        let no = self.table.insert(Tailed::new(file::Found {
            input: sighting.input,
            input_name: Arc::clone(self.names.get(sighting.input)?),
            source: Arc::new(Source {
                input: config.id,
                name: name.into(),
            }),
            path: sighting.path.clone(),
            door: sighting.door.clone(),
            real,
            file,
            open: self.table.open.clone(),
            metadata,
            framing: config.framing.clone(),
            now: self.attention.now(),
            named_at: clock::now(),
        }));
        self.unwrap(no);
        Some(no)
    }
}

impl super::Config {
    /// Whether a path is this input's.
    pub fn means(&self, path: &Path) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path))
            && !self.exclude.iter().any(|exclude| exclude.matches(path))
    }
}
