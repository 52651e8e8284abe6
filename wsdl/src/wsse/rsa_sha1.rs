//! RSA PKCS#1 v1.5 signatures with SHA-1: the one primitive of 2.0.1's wire that aws-lc-rs verifies
//! but does not make. The only unsafe code of `wsse`; knows nothing of XML.

use std::ptr::NonNull;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_sys as sys;

/// A private key, for this one kind of signature.
pub(super) struct RsaSha1(NonNull<sys::RSA>);

// SAFETY: AWS-LC's RSA objects may be used by several threads at once by functions that do not
// change them (openssl/rsa.h); after construction only RSA_size and RSA_sign are called.
unsafe impl Send for RsaSha1 {}
// SAFETY: as above.
unsafe impl Sync for RsaSha1 {}

impl RsaSha1 {
    /// Reads a PKCS#8 key; `None` if it is no RSA key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let mut input = sys::CBS { data: pkcs8.as_ptr(), len: pkcs8.len() };
        // SAFETY: `input` points into `pkcs8`, which outlives the call; the key is freed once, and
        // EVP_PKEY_get1_RSA takes a reference of its own, or returns null.
        unsafe {
            let key = NonNull::new(sys::EVP_parse_private_key(&raw mut input))?;
            let rsa = sys::EVP_PKEY_get1_RSA(key.as_ptr());
            sys::EVP_PKEY_free(key.as_ptr());
            NonNull::new(rsa).map(Self)
        }
    }

    /// Signs octets.
    pub fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, octets);
        let digest = digest.as_ref();
        // SAFETY: the key is valid until drop; RSA_sign writes at most RSA_size bytes to `made`.
        let (made, done) = unsafe {
            let mut made = vec![0; sys::RSA_size(self.0.as_ptr()) as usize];
            let mut length = 0;
            let (from, to) = (digest.as_ptr(), made.as_mut_ptr());
            let done = sys::RSA_sign(sys::NID_sha1, from, digest.len(), to, &raw mut length, self.0.as_ptr());
            made.truncate(length as usize);
            (made, done)
        };
        assert_eq!(done, 1, "a checked RSA key of 2048 bits or more signs a SHA-1 digest");
        made
    }
}

impl Drop for RsaSha1 {
    fn drop(&mut self) {
        // SAFETY: the reference taken in from_pkcs8, given back once.
        unsafe { sys::RSA_free(self.0.as_ptr()) }
    }
}
