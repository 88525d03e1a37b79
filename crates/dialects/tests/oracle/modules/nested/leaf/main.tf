variable "name" {}

resource "terraform_data" "leaf" {
  count = 2
  input = "${var.name}#${count.index}"
}

output "name" { value = upper(var.name) }
output "path" { value = path.module }
