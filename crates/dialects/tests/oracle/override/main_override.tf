variable "a" { default = "second" }

locals {
  y = 3
}

resource "terraform_data" "r" {
  input = "overridden"
}
