variable "a" { default = "first" }

locals {
  x = 1
  y = 2
}

resource "terraform_data" "r" {
  input            = "original"
  triggers_replace = ["kept"]
}

output "all" { value = [var.a, local.x, local.y, terraform_data.r.input] }
