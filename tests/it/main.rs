//! The integration tests, in one binary. Servers come from `make test`.

mod registry;
