//! The program, and the folders that it is run on.

use keyblind_testkit::{Folder, Outcome, Program};
use serde_json::Value;

/// Rules of the tests' own: what the built-in ones find may change, what the program does with findings may not.
const RULES: [(&str, &str); 3] = [
    (
        "bucket-acl-public.yaml",
        "id: bucket-acl-public
title: Bucket ACL lets anybody read
severity: high
confidence: high
aliases: [CKV_TEST_20, AVD-TEST-0092]
controls:
  cis-test-1.0: ['5.2']
why: Anybody can download every object.
fix: Set `acl` to `private`.
references: ['https://example.com/acl']
terraform:
  resources: [aws_s3_bucket]
  fail:
    acl: [public-read, public-read-write]
examples:
  terraform:
    bad: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"public-read\"
      }
    good: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"private\"
      }
",
    ),
    (
        "bucket-without-versioning.yaml",
        "id: bucket-without-versioning
title: Bucket keeps no earlier versions
severity: low
confidence: high
aliases: [CKV_TEST_21]
why: What is overwritten is gone.
fix: Switch versioning on.
references: ['https://example.com/versioning']
terraform:
  resources: [aws_s3_bucket]
  pass: {versioning.enabled: true}
examples:
  terraform:
    bad: |
      resource \"aws_s3_bucket\" \"a\" {}
    good: |
      resource \"aws_s3_bucket\" \"a\" {
        versioning {
          enabled = true
        }
      }
",
    ),
    (
        "password-in-code.yaml",
        "id: password-in-code
title: Database password stands in the code
severity: critical
confidence: medium
why: Everybody who can read the code can read the database.
fix: Let the provider make the password.
references: ['https://example.com/password']
terraform:
  resources: [aws_db_instance]
  fail:
    password: {exists: true}
examples:
  terraform:
    bad: |
      resource \"aws_db_instance\" \"a\" {
        password = \"correct horse\"
      }
    good: |
      resource \"aws_db_instance\" \"a\" {
        manage_master_user_password = true
      }
",
    ),
];

/// A repository with files, in which `keyblind.toml` isn't set and the tests' rules lie in a folder beside it.
pub(crate) struct Repository {
    folder: Folder,
}

impl Repository {
    pub(crate) fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let folder = Folder::new([]);
        for (name, text) in RULES {
            folder.write(&format!("rules/{name}"), text);
        }
        let repository = Self { folder };
        repository.write(".git/HEAD", "ref: refs/heads/main\n");
        for (name, text) in files {
            repository.write(name, text);
        }
        repository
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.folder.write(&format!("repo/{name}"), text);
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("the file is there");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        self.folder.read(&format!("repo/{name}"))
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("repo")
    }

    /// The program in the repository, without any rules of its own kind.
    pub(crate) fn program<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        Program::new(env!("CARGO_BIN_EXE_keyblind")).within(&self.path()).with(arguments)
    }

    /// Scans with the tests' rules.
    pub(crate) fn scan<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        self.with_rules(["scan"]).with(arguments).run()
    }

    /// A command that takes rules, with the tests' rules.
    pub(crate) fn with_rules<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Program {
        self.program(command).with(["--rules", "../rules", "--no-builtin-rules"])
    }

    /// Scans and reads the JSON report.
    pub(crate) fn report<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Value {
        let outcome = self.scan(["--format", "json"].into_iter().chain(arguments));
        serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// The rule, address and status of every result.
    pub(crate) fn results<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        results(&self.report(arguments))
    }
}

/// The rule, address and status of every result of a report.
pub(crate) fn results(report: &Value) -> Vec<String> {
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let results = report["results"].as_array().expect("a list of results");
    results.iter().map(|result| format!("{} {} {}", text(result, "rule"), text(result, "address"), text(result, "status"))).collect()
}

/// A bucket that anybody can read.
pub(crate) const PUBLIC_BUCKET: &str = "resource \"aws_s3_bucket\" \"site\" {
  acl = \"public-read\"
  versioning {
    enabled = true
  }
}
";

/// A bucket without a fault.
pub(crate) const SOUND_BUCKET: &str = "resource \"aws_s3_bucket\" \"site\" {
  acl = \"private\"
  versioning {
    enabled = true
  }
}
";
