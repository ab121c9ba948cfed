//! Whether an image is from somebody who may tell this switch what to run: minisign signatures (Ed25519) over the
//! manifest, which has the program's SHA-256.

use hitless_boot::image::Image;
use minisign_verify::{Error, PublicKey, Signature};

/// A text that is no public key.
#[derive(Debug, thiserror::Error)]
#[error(
    "{key:?} is no public key of minisign: {source}; give the line of 56 characters from its .pub file"
)]
pub struct NoKey {
    key: String,
    source: Error,
}

/// Understands a public key of minisign: the second line of its `.pub` file.
///
/// # Errors
/// If it is none.
pub fn parse_key(key: &str) -> Result<PublicKey, NoKey> {
    PublicKey::from_base64(key).map_err(|source| NoKey {
        key: key.into(),
        source,
    })
}

/// Whose images are let into the banks.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Whether an image without a signature is.
    allow_unsigned: bool,
    /// Public keys, with the texts that they were made from.
    keys: Vec<(String, PublicKey)>,
}

/// Who vouches for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The owner of this key; the key in the form of [`parse_key`], and what the signature says of itself (minisign's
    /// trusted comment, which is signed too).
    Key {
        /// The public key.
        key: String,
        /// The signer's words.
        comment: String,
    },
    /// Nobody: it is unsigned, and that is allowed.
    Nobody,
}

/// Why an image is not let into a bank.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It has no signature.
    #[error(
        "is not signed; take a signed image, or allow unsigned ones: configure image unsigned allow"
    )]
    Unsigned,
    /// Its signature is not in minisign's form.
    #[error("has a signature that is not minisign's: {0}")]
    Malformed(Error),
    /// No trusted key made the signature.
    #[error(
        "is signed, but by none of the {0} trusted keys; add the signer's: configure image add key <key>"
    )]
    Foreign(usize),
    /// The signature names a trusted key and is not by it.
    #[error("has a wrong signature: it names trusted key {0} and is not by its owner")]
    Wrong(String),
}

impl Trust {
    /// Trust in the owners of these keys, and maybe in everybody who does not sign at all.
    ///
    /// # Errors
    /// The first text that is no key.
    pub fn new<K: AsRef<str>>(
        allow_unsigned: bool,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, NoKey> {
        let parsed = keys.into_iter().map(|key| {
            let key = key.as_ref();
            Ok((key.to_owned(), parse_key(key)?))
        });
        Ok(Self {
            allow_unsigned,
            keys: parsed.collect::<Result<_, NoKey>>()?,
        })
    }

    /// Who vouches for an image. A signature that is not trusted is refused even where unsigned images are allowed:
    /// it may be damaged, or meant for somebody else.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn check(&self, image: &Image) -> Result<Signer, Untrusted> {
        self.check_text(image.manifest_text(), image.signature())
    }

    fn check_text(&self, manifest: &str, signature: &str) -> Result<Signer, Untrusted> {
        if signature.is_empty() {
            return match self.allow_unsigned {
                true => Ok(Signer::Nobody),
                false => Err(Untrusted::Unsigned),
            };
        }
        let signature = Signature::decode(signature).map_err(Untrusted::Malformed)?;
        let mut wrong = Untrusted::Foreign(self.keys.len());
        for (text, key) in &self.keys {
            match key.verify(manifest.as_bytes(), &signature, false) {
                Ok(()) => {
                    return Ok(Signer::Key {
                        key: text.clone(),
                        comment: signature.trusted_comment().to_owned(),
                    });
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => wrong = Untrusted::Wrong(text.clone()),
            }
        }
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign::KeyPair;
    use proptest::prelude::*;

    const MANIFEST: &str = "version 0.4.0\nsha256 00\n";

    fn pair() -> (KeyPair, String) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let key = pair.pk.to_base64();
        (pair, key)
    }

    fn sign(pair: &KeyPair) -> String {
        let comment = Some("version 0.4.0");
        minisign::sign(Some(&pair.pk), &pair.sk, MANIFEST.as_bytes(), comment, None)
            .unwrap()
            .into_string()
    }

    #[test]
    fn a_trusted_key_vouches() {
        let (ours, key) = pair();
        let (_, other) = pair();
        let trust = Trust::new(false, [&other, &key]).unwrap();
        let signer = trust.check_text(MANIFEST, &sign(&ours)).unwrap();
        let comment = "version 0.4.0".to_owned();
        assert_eq!(signer, Signer::Key { key, comment });
    }

    #[test]
    fn everybody_else_is_refused() {
        let (ours, key) = pair();
        let (other, _) = pair();
        let trust = |allow| Trust::new(allow, [&key]).unwrap();
        for allow in [false, true] {
            let foreign = trust(allow).check_text(MANIFEST, &sign(&other));
            assert!(matches!(foreign, Err(Untrusted::Foreign(1))));
            let changed = MANIFEST.replace("0.4.0", "0.4.1");
            let wrong = trust(allow).check_text(&changed, &sign(&ours));
            assert!(matches!(wrong, Err(Untrusted::Wrong(found)) if found == key));
            let malformed = trust(allow).check_text(MANIFEST, "x\n");
            assert!(matches!(malformed, Err(Untrusted::Malformed(_))));
            // The comment is shown, so it is under a signature too.
            let said = sign(&ours).replace("comment: version 0.4.0", "comment: version 9.9.9");
            assert!(trust(allow).check_text(MANIFEST, &said).is_err());
        }
        let unsigned = trust(false).check_text(MANIFEST, "");
        assert!(matches!(unsigned, Err(Untrusted::Unsigned)));
        let unsigned = trust(true).check_text(MANIFEST, "");
        assert!(matches!(unsigned, Ok(Signer::Nobody)));
        let nobody = Trust::new::<&str>(false, []).unwrap();
        assert!(nobody.check_text(MANIFEST, &sign(&ours)).is_err());
    }

    #[test]
    fn what_is_no_key_is_named() {
        for key in ["", "x", "RWQ", &"A".repeat(56)] {
            let error = Trust::new(false, [key]).unwrap_err().to_string();
            assert!(error.contains(&format!("{key:?}")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_or_is_trusted(text in "\\PC{1,200}", lines in "([A-Za-z0-9+/=: ]{0,110}\n){4}") {
            let trust = Trust::new(true, [pair().1]).unwrap();
            prop_assert!(trust.check_text(MANIFEST, &text).is_err());
            prop_assert!(trust.check_text(MANIFEST, &lines).is_err());
            let _ = parse_key(&text);
        }

        #[test]
        fn a_changed_signature_is_refused(place in 0usize..300, to in b'A'..=b'z') {
            let (ours, key) = pair();
            let signature = sign(&ours);
            let mut octets = signature.clone().into_bytes();
            // The first line is the untrusted comment.
            let first = signature.find('\n').unwrap() + 1;
            let place = first + place % (octets.len() - first);
            prop_assume!(octets[place] != to && octets[place] != b'\n');
            octets[place] = to;
            let changed = String::from_utf8(octets).unwrap();
            let trust = Trust::new(true, [key]).unwrap();
            prop_assert!(trust.check_text(MANIFEST, &changed).is_err());
        }
    }
}
