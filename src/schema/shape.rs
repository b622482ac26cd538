//! What the records of a topic are, and the Avro schema that says so. The schemas are `schemas/avro/*.avsc`,
//! compiled in; they describe the structs of `message::payload`.

use apache_avro::Schema;

use crate::config::{Kind, Subject};

macro_rules! shapes {
    ($($variant:ident $name:literal;)*) => {
        /// One of the record types of `message::payload`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Shape { $(#[doc = concat!("`message::payload::", stringify!($variant), "`.")] $variant,)* }

        impl Shape {
            pub const ALL: &'static [Shape] = &[$(Shape::$variant,)*];

            /// The full name of the Avro record.
            pub fn name(self) -> &'static str {
                match self { $(Shape::$variant => concat!("io.lazaret.", stringify!($variant)),)* }
            }

            /// The Avro schema as it stands in the file and in the registry.
            pub fn text(self) -> &'static str {
                match self {
                    $(Shape::$variant => include_str!(concat!("../../schemas/avro/", $name, ".avsc")),)*
                }
            }
        }
    };
}

shapes! {
    Document "document";
    Parsed "parsed";
    Passages "passages";
    Indexed "indexed";
    Question "question";
    Retrieved "retrieved";
    Draft "draft";
    Answer "answer";
}

impl Shape {
    /// What a stage of this kind reads; `None` for a stage of one's own, which has bytes.
    pub fn read_by(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Validate(validate) => Self::of_subject(validate.of),
            Kind::Parse(_) => Shape::Document,
            Kind::Chunk(_) => Shape::Parsed,
            Kind::Embed(_) | Kind::Index(_) => Shape::Passages,
            Kind::Retrieve(_) => Shape::Question,
            Kind::Generate(_) => Shape::Retrieved,
            Kind::Ground(_) => Shape::Draft,
            Kind::Own(_) => return None,
        })
    }

    /// What a stage of this kind writes; `None` as for [`read_by`](Self::read_by).
    pub fn written_by(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Validate(validate) => Self::of_subject(validate.of),
            Kind::Parse(_) => Shape::Parsed,
            Kind::Chunk(_) | Kind::Embed(_) => Shape::Passages,
            Kind::Index(_) => Shape::Indexed,
            Kind::Retrieve(_) => Shape::Retrieved,
            Kind::Generate(_) => Shape::Draft,
            Kind::Ground(_) => Shape::Answer,
            Kind::Own(_) => return None,
        })
    }

    /// The schema, parsed. Fails only when the file that was compiled in is not Avro, which a test rules out.
    pub fn schema(self) -> Result<Schema, apache_avro::Error> {
        Schema::parse_str(self.text())
    }

    fn of_subject(subject: Subject) -> Self {
        match subject {
            Subject::Document => Shape::Document,
            Subject::Question => Shape::Question,
        }
    }
}
