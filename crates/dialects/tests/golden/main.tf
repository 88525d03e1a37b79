# What expressions of functions.golden refer to.

terraform {
  required_providers {
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}

locals {
  greeting = "Hello, $${name}!%%{ if loud }!%%{ endif }"
  broken   = "Hello, $${name"
}
