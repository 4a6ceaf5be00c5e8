//! Objects that don't stand one a line: an array of them, pretty-printed ones, several on a line.

/// Takes lines, and gives the objects in them.
#[derive(Debug)]
pub struct Splitter {
    /// Depth of what stands around an object: 1 in an array.
    around: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// What there is of a piece, without line breaks.
    piece: Vec<u8>,
    /// Line on which it begins.
    number: u32,
    /// White space in front of the first object of an array that stands on a line of its own.
    indent: Option<usize>,
}

impl Splitter {
    /// Of objects one after another, or of an array of them.
    pub fn new(array: bool) -> Splitter {
        Splitter {
            around: usize::from(array),
            depth: 0,
            in_string: false,
            escaped: false,
            piece: vec![],
            number: 0,
            indent: None,
        }
    }

    /// Whether a line is one whole object, or several.
    pub fn is_whole(line: &[u8]) -> bool {
        let mut splitter = Splitter::new(false);
        splitter.line(line, 1, &mut |_, _| {});
        splitter.depth == 0 && splitter.piece.is_empty()
    }

    /// Gives every piece that ends on this line: objects, and what stands between them if it is more than commas.
    pub fn line(&mut self, line: &[u8], number: u32, each: &mut dyn FnMut(Vec<u8>, u32)) {
        // A text doesn't go over lines, and what is in an object is indented: so one that is broken ends here.
        (self.in_string, self.escaped) = (false, false);
        if self.around == 0 && line.first() == Some(&b'{') && self.depth > 0 {
            self.end(each);
            self.depth = 0;
        }
        // So does one in an array, where the next begins as far to the left as the first.
        let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if self.around == 1 && indent > 0 && line.get(indent) == Some(&b'{') {
            let is_next = *self.indent.get_or_insert(indent) >= indent;
            if is_next && self.depth > self.around {
                self.end(each);
                self.depth = self.around;
            }
        }
        for (at, &byte) in line.iter().enumerate() {
            if self.in_string {
                if byte == b'"' && !self.escaped && self.begins_the_next(&line[at + 1..]) {
                    self.resume_at_the_next(number, each);
                    continue;
                }
                self.piece.push(byte);
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            let between = self.depth <= self.around;
            match byte {
                b'[' | b'{' => {
                    self.depth += 1;
                    if self.depth <= self.around {
                        continue;
                    }
                    if between && byte == b'{' {
                        self.end(each);
                    }
                    self.add(byte, number);
                }
                b']' | b'}' => {
                    if self.depth == self.around && byte == b']' {
                        self.depth = self.depth.saturating_sub(1);
                        self.end(each);
                        continue;
                    }
                    self.add(byte, number);
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= self.around {
                        self.end(each);
                    }
                }
                b',' if between => self.end(each),
                _ => {
                    self.in_string = byte == b'"';
                    self.add(byte, number);
                }
            }
        }
        if self.depth <= self.around {
            self.end(each);
        } else {
            self.piece.push(b' ');
        }
    }

    /// Whether a quote that seems to end a text opens the first key of another object: behind `},{`, and before what can't
    /// follow a text. Then a quote was lost before.
    fn begins_the_next(&self, rest: &[u8]) -> bool {
        let next = rest.trim_ascii_start().first();
        let mut before = self.piece.trim_ascii_end();
        for expected in [b"{", b",", b"}"] {
            before = match before.strip_suffix(expected) {
                Some(shorter) => shorter.trim_ascii_end(),
                None if expected == b"," => before,
                None => return false,
            };
        }
        next.is_some_and(|next| !b",:}]".contains(next))
    }

    /// Gives the broken object without the one that it swallowed the first quote of.
    fn resume_at_the_next(&mut self, number: u32, each: &mut dyn FnMut(Vec<u8>, u32)) {
        let brace = self.piece.iter().rposition(|byte| *byte == b'{').unwrap_or_default();
        let next = self.piece.split_off(brace);
        let broken = self.piece.trim_ascii_end();
        self.piece.truncate(broken.strip_suffix(b",").unwrap_or(broken).len());
        self.end(each);
        (self.piece, self.number, self.depth) = (next, number, self.around + 1);
        self.piece.push(b'"');
    }

    /// Gives what has no end.
    pub fn end(&mut self, each: &mut dyn FnMut(Vec<u8>, u32)) {
        let piece = std::mem::take(&mut self.piece);
        if !piece.trim_ascii().is_empty() {
            each(piece, self.number);
        }
    }

    fn add(&mut self, byte: u8, number: u32) {
        if self.piece.is_empty() {
            if byte.is_ascii_whitespace() {
                return;
            }
            self.number = number;
        }
        self.piece.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(array: bool, text: &str) -> Vec<(String, u32)> {
        let mut splitter = Splitter::new(array);
        let mut pieces = Vec::new();
        let mut each = |piece: Vec<u8>, number| {
            let words: Vec<String> = String::from_utf8(piece).unwrap().split_whitespace().map(str::to_owned).collect();
            pieces.push((words.join(" "), number));
        };
        text.lines().enumerate().for_each(|(index, line)| splitter.line(line.as_bytes(), index as u32 + 1, &mut each));
        splitter.end(&mut each);
        pieces
    }

    #[test]
    fn objects_are_taken_apart() {
        let owned = |pieces: &[(&str, u32)]| -> Vec<(String, u32)> {
            pieces.iter().map(|(piece, number)| ((*piece).to_owned(), *number)).collect()
        };
        for (array, text, expected) in [
            (
                true,
                "[{\"a\": [1, {\"b\": \"}]\"}]},\n {\"c\": 2}\n]\n",
                &[("{\"a\": [1, {\"b\": \"}]\"}]}", 1), ("{\"c\": 2}", 2)][..],
            ),
            (true, "[1, {\"a\":2}", &[("1", 1), ("{\"a\":2}", 1)]),
            (false, "{\n \"a\": \"\\\"{\"\n}\n\n{\"b\":\n1}", &[("{ \"a\": \"\\\"{\" }", 1), ("{\"b\": 1}", 5)]),
            (
                true,
                r#"[{"a":"x},{"b":"y"}, {"c":"z},{\"},{"d":2}]"#,
                &[(r#"{"a":"x}"#, 1), (r#"{"b":"y"}"#, 1), (r#"{"c":"z},{\"}"#, 1), (r#"{"d":2}"#, 1)],
            ),
            (
                true,
                r#"[{"a":"x"},{"b":"},{"},{"c":"{"}]"#,
                &[(r#"{"a":"x"}"#, 1), (r#"{"b":"},{"}"#, 1), (r#"{"c":"{"}"#, 1)],
            ),
            (false, "{\"a\":1}{\"b\":2} , {\"c\":3},", &[("{\"a\":1}", 1), ("{\"b\":2}", 1), ("{\"c\":3}", 1)]),
            (
                false,
                "{\n \"a\": \"x,\n \"b\": {\n}\n{\n \"c\": 1\n}",
                &[("{ \"a\": \"x, \"b\": { }", 1), ("{ \"c\": 1 }", 5)],
            ),
        ] {
            assert_eq!(pieces(array, text), owned(expected), "{text}");
        }
    }

    #[test]
    fn an_object_that_is_broken_in_an_array_ends_where_the_next_begins() {
        let text = "[\n  {\n    \"a\": [\n      {\n        \"b\": 1\n      }\n    ]\n  },\n  {\n    \"a\": 2\n  ,\n  {\n    \"a\": 3\n  }\n]";
        let found: Vec<String> = pieces(true, text).into_iter().map(|(piece, _)| piece).collect();
        assert_eq!(found, ["{ \"a\": [ { \"b\": 1 } ] }", "{ \"a\": 2 ,", "{ \"a\": 3 }"]);
    }
}
