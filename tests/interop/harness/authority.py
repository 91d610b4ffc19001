"""Certificates, made with the `openssl` command line."""

import subprocess


def openssl(directory, *arguments):
    """Runs `openssl` there; what it says is shown if it fails."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Authority:
    """An authority whose certificate is `ca.pem`, and what it has issued: `NAME.pem` and `NAME.key`."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self._key("ca")
        subject = ["-subj", "/O=Example/CN=Authority"]
        openssl(directory, "req", "-x509", "-new", "-key", "ca.key", "-days", 2, *subject, "-out", "ca.pem")

    def path(self, name):
        return self.directory / name

    def issue(self, name, subject):
        """A certificate for `localhost` and 127.0.0.1; the subject from its least specific part on."""
        self._key(name)
        request = ["req", "-new", "-utf8", "-key", f"{name}.key", "-subj", subject]
        openssl(self.directory, *request, "-out", f"{name}.csr")
        names = self.path(f"{name}.ext")
        names.write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\n")
        sign = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"]
        openssl(self.directory, *sign, "-days", 1, "-extfile", names, "-out", f"{name}.pem")

    def _key(self, name):
        kind = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl(self.directory, "genpkey", *kind, "-out", f"{name}.key")
        self.path(f"{name}.key").chmod(0o600)
