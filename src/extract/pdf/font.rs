//! From the codes in a string to characters and advances.
//!
//! A font that says nothing itself (no `ToUnicode`) can still be read when its codes select glyphs of one of
//! Adobe's character collections: code → CID by the font's encoding, CID → Unicode by the collection's UCS2
//! CMap (ISO 32000-2, 9.10.2). Most Japanese PDFs of a certain age need this.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_font::kurbo::Vec2;
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn};
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, String as PdfString};
use unicode_normalization::UnicodeNormalization;

/// The fonts of a document, each loaded once.
pub struct Fonts<'a> {
    cache: FontCache<'a>,
    programs: FontResolverFn,
    cmaps: CMapResolverFn,
    loaded: RefCell<HashMap<ObjectIdentifier, Option<TextFont<'a>>>>,
}

/// A font as far as text needs it. Cheap to clone.
#[derive(Clone)]
pub struct TextFont<'a>(Rc<Inner<'a>>);

struct Inner<'a> {
    font: Font<'a>,
    /// One byte for each character; such fonts come from Latin encodings.
    simple: bool,
    collection: Option<Collection>,
    shown: RefCell<HashMap<u32, Shown>>,
}

/// What a code shows.
#[derive(Clone)]
pub struct Shown {
    /// `None` when nothing says which character it is.
    pub text: Option<Rc<str>>,
    /// To the next glyph, in thousandths of the font size.
    pub advance: Vec2,
}

impl Default for Fonts<'_> {
    fn default() -> Self {
        Self {
            cache: FontCache::new(),
            programs: Arc::new(|query| match query {
                FontQuery::Standard(font) => Some(font.get_font_data()),
                FontQuery::Fallback(font) => Some(font.pick_standard_font().get_font_data()),
            }),
            cmaps: Arc::new(load_embedded),
            loaded: RefCell::default(),
        }
    }
}

impl<'a> Fonts<'a> {
    /// `None` for a font that cannot be loaded.
    pub fn get(&self, dict: &Dict<'a>) -> Option<TextFont<'a>> {
        let Some(id) = dict.obj_id() else { return self.load(dict) };
        if let Some(font) = self.loaded.borrow().get(&id) {
            return font.clone();
        }
        let font = self.load(dict);
        self.loaded.borrow_mut().insert(id, font.clone());
        font
    }

    fn load(&self, dict: &Dict<'a>) -> Option<TextFont<'a>> {
        let font = self.cache.font(dict, &self.programs, &self.cmaps)?;
        let simple = dict.get::<Name<'_>>("Subtype").is_some_and(|kind| kind.as_str() != "Type0");
        let collection = Collection::of(dict);
        Some(TextFont(Rc::new(Inner { font, simple, collection, shown: RefCell::default() })))
    }
}

impl TextFont<'_> {
    pub fn is_horizontal(&self) -> bool {
        self.0.font.is_horizontal()
    }

    /// The code that starts at `at`, which must be inside `bytes`, and its length in bytes.
    pub fn read_code(&self, bytes: &[u8], at: usize) -> (u32, usize) {
        self.0.font.read_code(bytes, at)
    }

    pub fn shown(&self, code: u32) -> Shown {
        if let Some(shown) = self.0.shown.borrow().get(&code) {
            return shown.clone();
        }
        let text = self.0.text(code).map(|text| modern(&text).into());
        let shown = Shown { text, advance: self.0.font.code_advance(code) };
        self.0.shown.borrow_mut().insert(code, shown.clone());
        shown
    }
}

impl Inner<'_> {
    fn text(&self, code: u32) -> Option<String> {
        let said = match self.font.glyph(self.font.map_code(code), code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        said.map(string)
            .filter(|text| !text.is_empty() && !text.chars().all(|c| c.is_control() || c == '\u{fffd}'))
            .or_else(|| self.collection.as_ref()?.text(code))
            .or_else(|| {
                // Bitmap fonts of old TeX name their glyphs by number, and the number is the ASCII code.
                let ascii = char::from_u32(code).filter(char::is_ascii_graphic);
                ascii.filter(|_| self.simple).map(String::from)
            })
    }
}

/// How the codes of a composite font select characters of a character collection.
struct Collection {
    encoding: CMap,
    ucs2: CMap,
}

impl Collection {
    fn of(font: &Dict<'_>) -> Option<Self> {
        let encoding = match font.get::<Object<'_>>("Encoding")? {
            Object::Name(name) => match CMapName::from_bytes(name.as_ref()) {
                CMapName::IdentityH => CMap::identity_h(),
                CMapName::IdentityV => CMap::identity_v(),
                name => CMap::parse(load_embedded(name)?, load_embedded)?,
            },
            Object::Stream(stream) => CMap::parse(&stream.decoded_data().ok()?, load_embedded)?,
            _ => return None,
        };
        let family = encoding
            .metadata()
            .character_collection
            .as_ref()
            .map(|collection| collection.family.clone())
            .filter(|family| *family != CidFamily::AdobeIdentity)
            .or_else(|| descendant_family(font))?;
        let ucs2 = CMap::parse(load_embedded(family.ucs2_cmap()?)?, load_embedded)?;
        Some(Self { encoding, ucs2 })
    }

    fn text(&self, code: u32) -> Option<String> {
        let cid = (1..=4).find_map(|length| self.encoding.lookup_cid_code(code, length))?;
        self.ucs2.lookup_bf_string(cid).map(string)
    }
}

fn descendant_family(font: &Dict<'_>) -> Option<CidFamily> {
    let descendants = font.get::<Array<'_>>("DescendantFonts")?;
    let descendant = descendants.iter::<Dict<'_>>().next()?;
    let info = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
    let registry = info.get::<PdfString<'_>>("Registry")?;
    let ordering = info.get::<PdfString<'_>>("Ordering")?;
    Some(CidFamily::from_registry_ordering(registry.as_bytes(), ordering.as_bytes()))
}

fn string(text: BfString) -> String {
    match text {
        BfString::Char(c) => c.into(),
        BfString::String(s) => s,
    }
}

/// Ligatures (ﬁ) and Kangxi radicals (⽇) are how fonts name their glyphs, not what was written.
fn modern(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}'..='\u{fb06}' | '\u{2e80}'..='\u{2fdf}' => out.extend(c.nfkc()),
            _ => out.push(c),
        }
    }
    out
}
