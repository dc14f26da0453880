//! A CA of one's own, made with openssl as an administrator does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A CA in a folder.
#[derive(Debug)]
pub struct OwnCa {
    folder: PathBuf,
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl OwnCa {
    /// Makes one.
    #[must_use]
    pub fn make(folder: &Path) -> Self {
        let ca = Self { folder: folder.to_owned() };
        let (key, cert) = (ca.path("ca.key"), ca.path("ca.pem"));
        let made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        openssl(&[&made[..], &["-days", "9", "-subj", "/CN=own CA", "-keyout", &key, "-out", &cert]].concat());
        ca
    }

    /// The path of one of its files.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Certifies a new key for a name and for what it is reached at, such as `DNS:host1,IP:10.77.0.1`: `NAME.pem` and
    /// `NAME.key`, good for servers and clients.
    pub fn certify(&self, name: &str, reached_at: &str) {
        let [key, request, cert, extra] = ["key", "csr", "pem", "ext"].map(|end| self.path(&format!("{name}.{end}")));
        let subject = format!("/CN={name}");
        let made = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", &subject];
        openssl(&[&made[..], &["-keyout", &key, "-out", &request]].concat());
        let text = format!("subjectAltName={reached_at}\nextendedKeyUsage=serverAuth,clientAuth\n");
        fs::write(&extra, text).expect("a file in the CA's folder");
        let (ca, ca_key) = (self.path("ca.pem"), self.path("ca.key"));
        let signed = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
        openssl(&[&signed[..], &["-days", "9", "-extfile", &extra, "-out", &cert]].concat());
    }

    /// Puts this CA's certificate, and a key pair, where autoradio looks for them by itself.
    pub fn install(&self, name: &str, etc: &Path) {
        let folder = etc.join("autoradio");
        fs::create_dir_all(&folder).expect("a folder in the own /etc");
        let pem = format!("{name}.pem");
        let key = format!("{name}.key");
        for (from, to) in [("ca.pem", "etcd_ca.pem"), (&pem, "etcd_client.pem"), (&key, "etcd_client.key")] {
            // Beside it and renamed, as a tool that renews certificates does it.
            let beside = folder.join(format!("{to}.new"));
            fs::copy(self.folder.join(from), &beside).expect("a certificate is copied");
            fs::rename(&beside, folder.join(to)).expect("a certificate is put in place");
        }
    }
}
