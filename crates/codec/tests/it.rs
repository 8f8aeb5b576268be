//! Integration tests of the codec, one module per subject.
