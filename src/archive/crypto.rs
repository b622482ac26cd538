//! What signs requests to an S3 store: the hashes that PostgreSQL's client brings along, so that no second TLS library comes
//! into the program for them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use object_store::{Error, Result};
use sha2::{Digest as _, Sha256};

/// See the module.
#[derive(Debug)]
pub struct Hashes;

impl CryptoProvider for Hashes {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Sum { hash: Sha256::new(), sum: Vec::new() })),
            other => Err(unknown(format!("{other:?}"))),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let hash = Hmac::new_from_slice(secret).map_err(|error| unknown(error.to_string()))?;
                Ok(Box::new(Keyed { hash, sum: Vec::new() }))
            }
            other => Err(unknown(format!("{other:?}"))),
        }
    }

    /// No S3 store asks for it.
    fn sign(&self, algorithm: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unknown(format!("{algorithm:?}")))
    }
}

fn unknown(what: String) -> Error {
    Error::NotSupported { source: format!("{what} is not known here").into() }
}

struct Sum {
    hash: Sha256,
    sum: Vec<u8>,
}

impl DigestContext for Sum {
    fn update(&mut self, data: &[u8]) {
        self.hash.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.sum = self.hash.finalize_reset().to_vec();
        Ok(&self.sum)
    }
}

struct Keyed {
    hash: Hmac<Sha256>,
    sum: Vec<u8>,
}

impl HmacContext for Keyed {
    fn update(&mut self, data: &[u8]) {
        self.hash.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.sum = self.hash.clone().finalize().into_bytes().to_vec();
        Ok(&self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn sums_are_those_of_the_standards() {
        // FIPS 180-2, appendix B.1.
        let mut sum = Hashes.digest(DigestAlgorithm::Sha256).expect("known");
        sum.update(b"a");
        sum.update(b"bc");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(sum.finish().expect("a sum")), expected);
        // RFC 4231, test case 2.
        let mut keyed = Hashes.hmac(DigestAlgorithm::Sha256, b"Jefe").expect("known");
        keyed.update(b"what do ya want ");
        keyed.update(b"for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(keyed.finish().expect("a sum")), expected);
    }
}
