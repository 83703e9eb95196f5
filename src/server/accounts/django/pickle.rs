//! A reader for what Python pickles, protocols 2 to 5, as far as it is plain: dicts, lists, tuples, sets, texts, bytes, numbers, truth
//! and `None`. To pickle is to write a program; this one has no instruction that names, makes or calls anything, so whatever
//! needs a class is refused. Nothing is built deeper, wider or longer than the bounds below.
//!
//! ```text
//!   bytes ── instructions ──► stack of nodes, each its own number ──► the last one, read out as a `Value`
//! ```
//!
//! A node may be in several others, and in itself, by way of the memo: hence the numbers. What comes out is a tree.

use thiserror::Error;

/// The longest pickle, in bytes.
const LONGEST: usize = 1 << 20;
/// The most values in it, each counted wherever it stands.
const MOST: usize = 100_000;
/// How deep they stand within each other.
const DEEPEST: usize = 64;

/// A plain value of Python.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// One that does not fit: its bytes in two's complement, the lowest first.
    Long(Vec<u8>),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Set(Vec<Value>),
    /// In the order of the pickle; of two with one key the later counts.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The value of a dict under a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(fields) = self else { return None };
        fields.iter().rev().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Why a pickle is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("it ends too soon")]
    Short,
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    #[error("it holds more than {MOST} values")]
    Many,
    #[error("its values stand deeper than {DEEPEST} within each other")]
    Deep,
    #[error("it has a text that is not UTF-8")]
    NotText,
    #[error("it holds more than plain values: it has the instruction 0x{0:02x}")]
    NotPlain(u8),
    #[error("its instructions do not fit together")]
    Broken,
}

/// Reads a pickle.
///
/// # Errors
/// It is none, is over a bound, or holds more than plain values.
pub fn read(bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.len() > LONGEST {
        return Err(Refused::Long);
    }
    let mut machine = Machine { rest: bytes, ..Machine::default() };
    let root = machine.run()?;
    let mut left = MOST;
    machine.value(root, DEEPEST, &mut left)
}

/// The number of a node.
type Id = usize;

enum Node {
    Plain(Value),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
}

#[derive(Default)]
struct Machine<'b> {
    rest: &'b [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// How high the stack was where a mark was set.
    marks: Vec<usize>,
    /// By their numbers, which Python counts up from 0.
    memo: Vec<Option<Id>>,
    /// How many nodes were put into others.
    put: usize,
}

impl<'b> Machine<'b> {
    fn run(&mut self) -> Result<Id, Refused> {
        loop {
            let instruction = self.byte()?;
            match instruction {
                // Which protocol it is, and how long the next part: all of it is here.
                0x80 => _ = self.byte()?,
                0x95 => _ = self.take(8)?,
                b'.' => return self.pop(),
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                b'K' | b'M' => {
                    let number = self.take(if instruction == b'K' { 1 } else { 2 })?;
                    let number = number.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte));
                    self.push(Value::Int(number))?;
                }
                0x8a | 0x8b => {
                    let length = self.number(if instruction == 0x8a { 1 } else { 4 })?;
                    let number = long(self.take(length)?);
                    self.push(number)?;
                }
                b'G' => {
                    let number = f64::from_be_bytes(self.array()?);
                    self.push(Value::Float(number))?;
                }
                0x8c | b'X' | 0x8d => {
                    let length = self.number(match instruction {
                        0x8c => 1,
                        b'X' => 4,
                        _ => 8,
                    })?;
                    let text = str::from_utf8(self.take(length)?).map_err(|_| Refused::NotText)?.to_owned();
                    self.push(Value::Text(text))?;
                }
                b'C' | b'B' | 0x8e | 0x96 => {
                    let length = self.number(match instruction {
                        b'C' => 1,
                        b'B' => 4,
                        _ => 8,
                    })?;
                    let bytes = self.take(length)?.to_vec();
                    self.push(Value::Bytes(bytes))?;
                }
                b']' => self.push_node(Node::List(Vec::new()))?,
                b')' => self.push_node(Node::Tuple(Vec::new()))?,
                b'}' => self.push_node(Node::Dict(Vec::new()))?,
                0x8f => self.push_node(Node::Set(Vec::new()))?,
                b'(' => self.marks.push(self.stack.len()),
                0x85..=0x87 => {
                    let items = self.pop_many(usize::from(instruction - 0x84))?;
                    self.push_node(Node::Tuple(items))?;
                }
                b't' | 0x91 => {
                    let items = self.pop_to_mark()?;
                    self.put(items.len())?;
                    self.push_node(if instruction == b't' { Node::Tuple(items) } else { Node::Set(items) })?;
                }
                b'a' | b'e' | 0x90 => {
                    let items = if instruction == b'a' { self.pop_many(1)? } else { self.pop_to_mark()? };
                    self.put(items.len())?;
                    match (instruction, self.top()?) {
                        (b'a' | b'e', Node::List(list)) | (0x90, Node::Set(list)) => list.extend(items),
                        _ => return Err(Refused::Broken),
                    }
                }
                b's' | b'u' => {
                    let items = if instruction == b's' { self.pop_many(2)? } else { self.pop_to_mark()? };
                    self.put(items.len())?;
                    let Node::Dict(fields) = self.top()? else { return Err(Refused::Broken) };
                    let (pairs, []) = items.as_chunks() else { return Err(Refused::Broken) };
                    fields.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                }
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_to_mark()?,
                b'2' => {
                    let top = self.last()?;
                    self.stack.push(top);
                }
                0x94 => self.remember(self.memo.len())?,
                b'q' | b'r' => {
                    let at = self.number(if instruction == b'q' { 1 } else { 4 })?;
                    self.remember(at)?;
                }
                b'h' | b'j' => {
                    let at = self.number(if instruction == b'h' { 1 } else { 4 })?;
                    let id = self.memo.get(at).copied().flatten().ok_or(Refused::Broken)?;
                    self.stack.push(id);
                }
                other => return Err(Refused::NotPlain(other)),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Refused::Short)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Refused::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A whole number of so many bytes, the lowest first.
    fn number(&mut self, bytes: usize) -> Result<usize, Refused> {
        let number = self.take(bytes)?.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        // What is larger than memory is longer than the pickle.
        usize::try_from(number).map_err(|_| Refused::Short)
    }

    fn push(&mut self, value: Value) -> Result<(), Refused> {
        self.push_node(Node::Plain(value))
    }

    fn push_node(&mut self, node: Node) -> Result<(), Refused> {
        if self.nodes.len() == MOST {
            return Err(Refused::Many);
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// Counts what is put into another: what the memo has may be put in again and again without being made again.
    fn put(&mut self, count: usize) -> Result<(), Refused> {
        self.put += count;
        if self.put > MOST { Err(Refused::Many) } else { Ok(()) }
    }

    /// How low the stack may get: not below the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn last(&self) -> Result<Id, Refused> {
        if self.stack.len() > self.floor() { self.stack.last().copied().ok_or(Refused::Broken) } else { Err(Refused::Broken) }
    }

    fn pop(&mut self) -> Result<Id, Refused> {
        let last = self.last()?;
        self.stack.pop();
        Ok(last)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Refused> {
        let from = self.stack.len().checked_sub(count).filter(|from| *from >= self.floor()).ok_or(Refused::Broken)?;
        Ok(self.stack.split_off(from))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Refused> {
        let mark = self.marks.pop().ok_or(Refused::Broken)?;
        Ok(self.stack.split_off(mark))
    }

    /// The node on the stack into which others are put.
    fn top(&mut self) -> Result<&mut Node, Refused> {
        let top = self.last()?;
        self.nodes.get_mut(top).ok_or(Refused::Broken)
    }

    fn remember(&mut self, at: usize) -> Result<(), Refused> {
        let last = self.last()?;
        if at >= MOST {
            return Err(Refused::Many);
        }
        if self.memo.len() <= at {
            self.memo.resize(at + 1, None);
        }
        self.memo[at] = Some(last);
        Ok(())
    }

    /// A node as it stands in the tree; so deep may be below it, and so many are left.
    fn value(&self, id: Id, depth: usize, left: &mut usize) -> Result<Value, Refused> {
        let depth = depth.checked_sub(1).ok_or(Refused::Deep)?;
        *left = left.checked_sub(1).ok_or(Refused::Many)?;
        let mut all = |ids: &[Id]| ids.iter().map(|id| self.value(*id, depth, left)).collect::<Result<Vec<_>, _>>();
        Ok(match self.nodes.get(id).ok_or(Refused::Broken)? {
            Node::Plain(value) => value.clone(),
            Node::List(ids) => Value::List(all(ids)?),
            Node::Tuple(ids) => Value::Tuple(all(ids)?),
            Node::Set(ids) => Value::Set(all(ids)?),
            Node::Dict(fields) => {
                let mut pair = |(key, value): &(Id, Id)| Ok((self.value(*key, depth, left)?, self.value(*value, depth, left)?));
                Value::Dict(fields.iter().map(&mut pair).collect::<Result<_, Refused>>()?)
            }
        })
    }
}

/// A whole number in two's complement, the lowest byte first; none at all is 0.
fn long(bytes: &[u8]) -> Value {
    let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    if bytes.len() > 8 {
        return Value::Long(bytes.to_vec());
    }
    let mut whole = [sign; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_and_calls_are_refused() {
        for (pickle, instruction) in [
            // os.system("true"), as every protocol calls it.
            (&b"cos\nsystem\n(S'true'\ntR."[..], b'c'),
            (b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.", b'c'),
            (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", 0x93),
            (b"\x80\x02N)\x81.", 0x81),
            (b"\x80\x02NNb.", b'b'),
            (b"\x80\x02(NNo.", b'o'),
            (b"\x80\x02(ios\nsystem\n.", b'i'),
            (b"\x80\x02P1\n.", b'P'),
            (b"\x80\x02NQ.", b'Q'),
            (b"\x80\x02\x82\x01.", 0x82),
            (b"\x80\x05\x97.", 0x97),
            (b"\x80\x00I1\n.", b'I'),
        ] {
            assert_eq!(read(pickle), Err(Refused::NotPlain(instruction)), "{pickle:?}");
        }
    }

    #[test]
    fn what_is_over_a_bound_is_refused() {
        assert_eq!(read(&vec![b'N'; LONGEST + 1]), Err(Refused::Long));
        let many = [vec![b'('], vec![b'N'; MOST + 1], b"t.".to_vec()].concat();
        assert_eq!(read(&many), Err(Refused::Many));
        // Lists within each other, and one that is in itself.
        let deep = [vec![b']'; DEEPEST], vec![b'a'; DEEPEST - 1], b".".to_vec()].concat();
        assert!(read(&deep).is_ok());
        let deeper = [vec![b']'; DEEPEST + 1], vec![b'a'; DEEPEST], b".".to_vec()].concat();
        assert_eq!(read(&deeper), Err(Refused::Deep));
        assert_eq!(read(b"]\x94h\x00a."), Err(Refused::Deep));
        // A list of ten of a list of ten of ...: few bytes and 10^20 values.
        let mut laughs = b"]\x94".to_vec();
        for level in 0..20 {
            laughs.extend([b']', 0x94]);
            laughs.extend([b'h', level, b'a'].repeat(10));
        }
        assert_eq!(read(&[laughs, b".".to_vec()].concat()), Err(Refused::Many));
        assert_eq!(read(b"Nr\xff\xff\xff\xff."), Err(Refused::Many), "a memo of four billion");
        assert_eq!(read(b"X\xff\xff\xff\xff."), Err(Refused::Short), "a text of four gigabytes");
        assert_eq!(read(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff."), Err(Refused::Short));
    }

    #[test]
    fn instructions_that_do_not_fit_are_refused() {
        for pickle in
            [&b"."[..], b"(.", b"N(.", b"Na.", b"}Na.", b"NNs.", b"}(Nu.", b"t.", b"0.", b"2.", b"h\x00.", b"\x94.", b"N(\x85."]
        {
            assert_eq!(read(pickle), Err(Refused::Broken), "{pickle:?}");
        }
        for pickle in [&b""[..], b"N", b"K", b"J\x00", b"\x80", b"\x8c\x02a", b"\x95\x00"] {
            assert_eq!(read(pickle), Err(Refused::Short), "{pickle:?}");
        }
        assert_eq!(read(b"\x8c\x01\xff."), Err(Refused::NotText));
    }

    #[test]
    fn the_later_of_two_with_one_key_counts() {
        let value = read(b"}(\x8c\x01aK\x01\x8c\x01aK\x02u.").unwrap();
        assert_eq!(value.get("a"), Some(&Value::Int(2)));
        assert_eq!(value.get("b"), None);
        assert_eq!(Value::None.get("a"), None);
    }

    #[test]
    fn numbers_have_a_sign() {
        for (pickle, number) in [
            (&b"K\xff."[..], 255),
            (b"M\xff\xff.", 65_535),
            (b"J\xff\xff\xff\xff.", -1),
            (b"\x8a\x00.", 0),
            (b"\x8a\x01\xff.", -1),
            (b"\x8a\x02\xff\x00.", 255),
            (b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", i64::MIN),
        ] {
            assert_eq!(read(pickle), Ok(Value::Int(number)), "{pickle:?}");
        }
        assert_eq!(read(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."), Ok(Value::Long(b"\0\0\0\0\0\0\0\x80\0".to_vec())));
    }

    /// Instructions that are likely to fit together, with some that are not.
    fn instructions() -> impl Strategy<Value = Vec<u8>> {
        let known = b"N\x88\x89].}()taesu012\x94\x8f\x90\x91\x85\x86\x87".iter().map(|byte| vec![*byte]);
        let with_number = b"Khq\x8c\x8aC".iter().flat_map(|byte| (0..4).map(|number| vec![*byte, number]));
        let choices: Vec<_> = known.chain(with_number).collect();
        let one = prop_oneof![9 => proptest::sample::select(choices), 1 => proptest::collection::vec(any::<u8>(), 0..4)];
        proptest::collection::vec(one, 0..200).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// It ends, within its bounds, and never panics.
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_instructions_are_too_odd(bytes in instructions()) {
            let _ = read(&bytes);
        }
    }
}
