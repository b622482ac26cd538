//! The text operators of a content stream (ISO 32000-2, 9.3 and 9.4) as glyphs with their places on the page.
//!
//! It never draws, and looks into form XObjects but not into images.

use hayro_font::kurbo::{Affine, Point, Vec2};
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as Op;
use hayro_syntax::object::{Array, Dict, Name, Number, Object, Stream};
use hayro_syntax::page::{Page, Resources};

use super::font::{Fonts, Shown, TextFont};
use crate::flow::{Code, Fault};

/// How deep form XObjects may stand in each other. Real documents need three or four.
const FORM_DEPTH: u32 = 24;
/// Saved graphics states at once; a page that needs more is damaged.
const STATES_MAX: usize = 512;

/// Some characters and where they stand, in the page's default units (1/72 inch).
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    pub text: String,
    pub start: Point,
    pub end: Point,
    /// Height of the font's em.
    pub em: f64,
}

/// Reads the pages of one document.
pub struct Reader<'a> {
    fonts: Fonts<'a>,
    glyphs: Vec<Glyph>,
    text_left: usize,
    text_max: usize,
    known: usize,
    unknown: usize,
}

#[derive(Clone)]
struct State<'a> {
    ctm: Affine,
    font: Option<TextFont<'a>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

/// Where in the text object we are; set by `BT`, not saved by `q`.
struct Pen {
    matrix: Affine,
    line: Affine,
}

impl<'a> Reader<'a> {
    pub fn new(text_max: usize) -> Self {
        Self {
            fonts: Fonts::default(),
            glyphs: Vec::new(),
            text_left: text_max,
            text_max,
            known: 0,
            unknown: 0,
        }
    }

    /// The glyphs of a page in the order in which they are shown; `document.too_large` when the pages so far
    /// hold more text than the limit.
    pub fn page(&mut self, page: &Page<'a>) -> Result<Vec<Glyph>, Fault> {
        let state = State {
            ctm: Affine::IDENTITY,
            font: None,
            size: 1.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        self.run(page.typed_operations(), page.resources(), state, 0)?;
        Ok(std::mem::take(&mut self.glyphs))
    }

    /// `parse.encoding` when most of what was shown is in fonts that do not say which characters it is.
    pub fn require_known_characters(&self) -> Result<(), Fault> {
        if self.unknown <= self.known {
            return Ok(());
        }
        let all = self.known + self.unknown;
        Err(Fault::new(
            Code::ParseEncoding,
            format!(
                "the fonts of the PDF do not say which characters {} of its {all} glyphs are",
                self.unknown
            ),
        ))
    }

    fn run(
        &mut self,
        mut operators: TypedIter<'_>,
        resources: &Resources<'a>,
        mut state: State<'a>,
        depth: u32,
    ) -> Result<(), Fault> {
        let mut saved: Vec<State<'a>> = Vec::new();
        let mut pen = Pen { matrix: Affine::IDENTITY, line: Affine::IDENTITY };
        while let Some(operator) = operators.next() {
            match operator {
                Op::SaveState(_) if saved.len() < STATES_MAX => saved.push(state.clone()),
                Op::RestoreState(_) => state = saved.pop().unwrap_or(state),
                Op::Transform(m) => state.ctm *= affine([m.0, m.1, m.2, m.3, m.4, m.5]),
                Op::XObject(x) => self.form(resources.get_x_object(x.0), resources, &state, depth)?,
                Op::BeginText(_) => pen.start(Affine::IDENTITY),
                Op::TextFont(f) => self.set_font(&mut state, resources.get_font(f.0), f.1.as_f64()),
                Op::SetGraphicsState(g) => {
                    if let Some((font, size)) = resources.get_ext_g_state(g.0).and_then(|d| font_of(&d)) {
                        self.set_font(&mut state, Some(font), size);
                    }
                }
                operator => self.text_operator(operator, &mut state, &mut pen)?,
            }
        }
        Ok(())
    }

    /// Operators that set the text state, move the pen or show text.
    fn text_operator(
        &mut self,
        operator: Op<'_, '_>,
        state: &mut State<'a>,
        pen: &mut Pen,
    ) -> Result<(), Fault> {
        match operator {
            Op::CharacterSpacing(v) => state.char_space = v.0.as_f64(),
            Op::WordSpacing(v) => state.word_space = v.0.as_f64(),
            Op::HorizontalScaling(v) => state.scale = v.0.as_f64() / 100.0,
            Op::TextLeading(v) => state.leading = v.0.as_f64(),
            Op::TextRise(v) => state.rise = v.0.as_f64(),
            Op::SetTextMatrix(m) => pen.start(affine([m.0, m.1, m.2, m.3, m.4, m.5])),
            Op::NextLine(v) => pen.next_line(v.0.as_f64(), v.1.as_f64()),
            Op::NextLineAndSetLeading(v) => {
                state.leading = -v.1.as_f64();
                pen.next_line(v.0.as_f64(), v.1.as_f64());
            }
            Op::NextLineUsingLeading(_) => pen.next_line(0.0, -state.leading),
            Op::ShowText(t) => self.show(state, pen, t.0.as_bytes())?,
            Op::ShowTexts(t) => self.show_many(state, pen, t.0)?,
            Op::NextLineAndShowText(t) => {
                pen.next_line(0.0, -state.leading);
                self.show(state, pen, t.0.as_bytes())?;
            }
            Op::ShowTextWithParameters(t) => {
                state.word_space = t.0.as_f64();
                state.char_space = t.1.as_f64();
                pen.next_line(0.0, -state.leading);
                self.show(state, pen, t.2.as_bytes())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Runs a form XObject in place. A form that shows itself stops at [`FORM_DEPTH`].
    fn form(
        &mut self,
        stream: Option<Stream<'a>>,
        parent: &Resources<'a>,
        state: &State<'a>,
        depth: u32,
    ) -> Result<(), Fault> {
        let Some(stream) = stream.filter(|_| depth < FORM_DEPTH) else { return Ok(()) };
        let dict = stream.dict();
        if dict.get::<Name<'_>>("Subtype").is_none_or(|name| name.as_str() != "Form") {
            return Ok(());
        }
        let Ok(data) = stream.decoded_data() else {
            return Err(Fault::new(Code::ParseCorrupt, "a form of the PDF cannot be unpacked"));
        };
        let own = dict.get::<Dict<'a>>("Resources").map(Resources::new);
        let mut state = state.clone();
        state.ctm *= dict.get::<[f64; 6]>("Matrix").map_or(Affine::IDENTITY, Affine::new);
        self.run(TypedIter::new(&data), own.as_ref().unwrap_or(parent), state, depth + 1)
    }

    fn set_font(&self, state: &mut State<'a>, dict: Option<Dict<'a>>, size: f64) {
        state.size = size;
        state.font = dict.and_then(|dict| self.fonts.get(&dict));
    }

    fn show_many(&mut self, state: &State<'a>, pen: &mut Pen, parts: &Array<'_>) -> Result<(), Fault> {
        for part in parts.iter::<Object<'_>>() {
            match part {
                Object::String(text) => self.show(state, pen, text.as_bytes())?,
                Object::Number(n) => {
                    let move_by = -n.as_f64() / 1000.0 * state.size;
                    let horizontal = state.font.as_ref().is_none_or(TextFont::is_horizontal);
                    pen.advance(if horizontal {
                        Vec2::new(move_by * state.scale, 0.0)
                    } else {
                        Vec2::new(0.0, move_by)
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Shows a string: one glyph for each character code (ISO 32000-2, 9.4.4).
    fn show(&mut self, state: &State<'a>, pen: &mut Pen, bytes: &[u8]) -> Result<(), Fault> {
        let Some(font) = &state.font else { return Ok(()) };
        let mut at = 0;
        while at < bytes.len() {
            let (code, length) = font.read_code(bytes, at);
            let length = length.max(1);
            let Shown { text, advance } = font.shown(code);
            let word_space = if code == 32 && length == 1 { state.word_space } else { 0.0 };
            let space = state.char_space + word_space;
            let drawn = advance / 1000.0 * state.size;
            let (drawn, moved) = if font.is_horizontal() {
                (Vec2::new(drawn.x * state.scale, 0.0), Vec2::new((drawn.x + space) * state.scale, 0.0))
            } else {
                (Vec2::new(0.0, drawn.y), Vec2::new(0.0, drawn.y + space))
            };
            match text {
                Some(text) => self.place(state, pen, &text, drawn)?,
                None => self.unknown += 1,
            }
            pen.advance(moved);
            at += length;
        }
        Ok(())
    }

    fn place(&mut self, state: &State<'a>, pen: &Pen, text: &str, drawn: Vec2) -> Result<(), Fault> {
        self.known += 1;
        self.text_left = self.text_left.checked_sub(text.len()).ok_or_else(|| {
            let message = format!("the PDF holds more than {} bytes of text", self.text_max);
            Fault::new(Code::DocumentTooLarge, message)
        })?;
        let to_page = state.ctm * pen.matrix;
        let origin = Point::new(0.0, state.rise);
        let [_, _, c, d, _, _] = to_page.as_coeffs();
        self.glyphs.push(Glyph {
            text: text.to_owned(),
            start: to_page * origin,
            end: to_page * (origin + drawn),
            em: (c.hypot(d) * state.size).abs(),
        });
        Ok(())
    }
}

impl Pen {
    fn start(&mut self, matrix: Affine) {
        self.matrix = matrix;
        self.line = matrix;
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.start(self.line * Affine::translate((x, y)));
    }

    fn advance(&mut self, by: Vec2) {
        self.matrix *= Affine::translate(by);
    }
}

fn affine(numbers: [Number; 6]) -> Affine {
    Affine::new(numbers.map(|n| n.as_f64()))
}

/// The font and size that a graphics state dictionary sets.
fn font_of<'a>(state: &Dict<'a>) -> Option<(Dict<'a>, f64)> {
    let array = state.get::<Array<'a>>("Font")?;
    let mut parts = array.iter::<Object<'a>>();
    let font = parts.next()?.into_dict()?;
    Some((font, parts.next()?.into_number()?.as_f64()))
}
