// SPDX-License-Identifier: MIT
//! framehop as a witness and as a peer: unwinds the samples of a snapshot file (tests/oracle/snapshot.h says what is in it).
//!
//!     framehop-frames SNAPSHOTS              a line a sample on standard output, as snapshot.h has answers
//!     framehop-frames --time ROUNDS SNAPSHOTS    stacks, frames, ns a stack, ns a frame: the best of ROUNDS over all samples, hot
//!
//! One unwinder an address space; one cache for all of them, as samply has it.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use framehop::x86_64::{CacheX86_64, Reg, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{FrameAddress, Module, ModuleSectionInfo, Unwinder};
use object::{Object, ObjectSection};

const FRAMES_MAX: usize = 2048;
const REGISTERS: usize = 17;
const PC: usize = 16;

/// What framehop may want of a file: the addresses and the bytes of its sections.
type Sections = HashMap<Vec<u8>, (Range<u64>, Option<Rc<[u8]>>)>;

/// framehop's view of them.
struct Loaded<'a>(&'a Sections);

impl ModuleSectionInfo<Rc<[u8]>> for Loaded<'_> {
    fn base_svma(&self) -> u64 {
        0
    }
    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.0.get(name).map(|(range, _)| range.clone())
    }
    fn section_data(&mut self, name: &[u8]) -> Option<Rc<[u8]>> {
        self.0.get(name).and_then(|(_, data)| data.clone())
    }
}

struct Space {
    unwinder: UnwinderX86_64<Rc<[u8]>>,
}

struct Sample {
    space: usize,
    tid: u64,
    time: u64,
    registers: [u64; REGISTERS],
    base: u64,
    stack: Vec<u64>,
}

/// The next words of a record.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn word(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_at_checked(8)?;
        self.0 = rest;
        Some(u64::from_le_bytes(head.try_into().ok()?))
    }

    /// `length` bytes and their padding.
    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let (head, rest) = self.0.split_at_checked(length.checked_next_multiple_of(8)?)?;
        self.0 = rest;
        Some(&head[..length])
    }
}

const WANTED: [&str; 5] = [".text", ".got", ".eh_frame", ".eh_frame_hdr", ".debug_frame"];

/// None if it is no ELF file.
fn sections_of(image: &[u8]) -> Option<Sections> {
    let file = object::File::parse(image).ok()?;
    let section = |name: &&str| {
        let section = file.section_by_name(name)?;
        let data = section.uncompressed_data().ok().filter(|data| !data.is_empty());
        Some((name.as_bytes().to_vec(), (section.address()..section.address() + section.size(), data.map(|data| Rc::from(&*data)))))
    };
    Some(WANTED.iter().filter_map(section).collect())
}

#[derive(Default)]
struct Reader {
    files: HashMap<String, Option<Rc<Sections>>>,
    spaces: Vec<Space>,
    samples: Vec<Sample>,
    has_sample: bool, // of the last space: modules that come later belong to a new state of it
}

impl Reader {
    fn space(&mut self) -> &mut Space {
        if self.spaces.is_empty() {
            self.spaces.push(Space { unwinder: UnwinderX86_64::new() });
        }
        self.spaces.last_mut().expect("pushed above")
    }

    fn read_module(&mut self, words: &mut Words) -> Option<()> {
        let (start, end, bias) = (words.word()?, words.word()?, words.word()?);
        let (path_length, image_length) = (words.word()?, words.word()?);
        let path = String::from_utf8_lossy(words.bytes(path_length)?).into_owned();
        let image = words.bytes(image_length)?;
        let sections = self.files.entry(path.clone()).or_insert_with(|| {
            let read = if image.is_empty() { std::fs::read(&path).ok() } else { Some(image.to_vec()) };
            read.and_then(|bytes| sections_of(&bytes)).map(Rc::new)
        });
        let Some(sections) = sections.clone() else { return Some(()) };
        if self.has_sample {
            let unwinder = self.space().unwinder.clone();
            self.spaces.push(Space { unwinder });
            self.has_sample = false;
        }
        self.space().unwinder.add_module(Module::new(path, start..end, bias, Loaded(&sections)));
        Some(())
    }

    fn read_sample(&mut self, words: &mut Words) -> Option<()> {
        let (tid, time, _valid) = (words.word()?, words.word()?, words.word()?);
        let mut registers = [0; REGISTERS];
        for register in &mut registers {
            *register = words.word()?;
        }
        let (base, length) = (words.word()?, words.word()?);
        let stack = words.bytes(length)?.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().expect("eight"))).collect();
        self.space();
        self.has_sample = true;
        let space = self.spaces.len() - 1;
        self.samples.push(Sample { space, tid, time, registers, base, stack });
        Some(())
    }

    fn read(&mut self, data: &[u8]) -> Option<()> {
        let mut words = Words(data);
        while !words.0.is_empty() {
            let kind = words.word()?;
            let length = words.word()?;
            let mut record = Words(words.bytes(length)?);
            match kind {
                1 => {
                    self.spaces.push(Space { unwinder: UnwinderX86_64::new() });
                    self.has_sample = false;
                }
                2 => self.read_module(&mut record)?,
                3 => self.read_sample(&mut record)?,
                _ => return None,
            }
        }
        Some(())
    }
}

/// Gives each frame's pc to `take`; whether framehop says that the last is the outermost.
fn walk(sample: &Sample, space: &Space, cache: &mut CacheX86_64<framehop::MayAllocateDuringUnwind>, mut take: impl FnMut(u64)) -> bool {
    let r = &sample.registers;
    let mut registers = UnwindRegsX86_64::new(r[PC], r[7], r[6]);
    for (number, register) in [
        Reg::RAX, Reg::RDX, Reg::RCX, Reg::RBX, Reg::RSI, Reg::RDI, Reg::RBP, Reg::RSP, Reg::R8, Reg::R9, Reg::R10, Reg::R11, Reg::R12,
        Reg::R13, Reg::R14, Reg::R15,
    ]
    .into_iter()
    .enumerate()
    {
        registers.set(register, r[number]);
    }
    let mut read = |address: u64| {
        let offset = address.wrapping_sub(sample.base);
        if offset % 8 != 0 {
            return Err(());
        }
        sample.stack.get((offset / 8) as usize).copied().ok_or(())
    };
    let mut at = FrameAddress::InstructionPointer(r[PC]);
    take(r[PC]);
    for _ in 1..FRAMES_MAX {
        match space.unwinder.unwind_frame(at, &mut registers, cache, &mut read) {
            Ok(Some(pc)) => {
                let Some(next) = FrameAddress::from_return_address(pc) else { return true };
                take(pc);
                at = next;
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    false
}

fn print(reader: &Reader) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut cache = CacheX86_64::new();
    let mut frames = Vec::new();
    for sample in &reader.samples {
        frames.clear();
        let is_at_end = walk(sample, &reader.spaces[sample.space], &mut cache, |pc| frames.push(pc));
        write!(out, "{}\t{}\t{}", sample.tid, sample.time, if is_at_end { "end" } else { "lost" })?;
        for pc in &frames {
            write!(out, "\t{pc:x}")?;
        }
        writeln!(out)?;
    }
    out.flush()
}

fn time(reader: &Reader, rounds: u32) {
    let mut cache = CacheX86_64::new();
    let (mut best, mut frames, mut sum) = (f64::MAX, 0u64, 0u64);
    for _ in 0..rounds {
        frames = 0;
        let start = Instant::now();
        for sample in &reader.samples {
            walk(sample, &reader.spaces[sample.space], &mut cache, |pc| {
                frames += 1;
                sum = sum.wrapping_add(pc);
            });
        }
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    std::hint::black_box(sum);
    println!("{}\t{}\t{:.1}\t{:.2}", reader.samples.len(), frames, best / reader.samples.len() as f64, best / frames as f64);
}

fn run(path: &str, rounds: Option<u32>) -> Result<(), String> {
    let data = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let mut reader = Reader::default();
    reader.read(&data).ok_or_else(|| format!("{path}: not a snapshot file"))?;
    match rounds {
        Some(rounds) => time(&reader, rounds),
        None => print(&reader).map_err(|error| error.to_string())?,
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--time", rounds, path] if rounds.parse::<u32>().is_ok() => run(path, rounds.parse().ok()),
        [path] if !path.starts_with('-') => run(path, None),
        _ => Err("usage: framehop-frames [--time ROUNDS] SNAPSHOTS".to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("framehop-frames: {problem}");
            ExitCode::FAILURE
        }
    }
}
