variable "name" {
  type = string
}

variable "options" {
  type = object({
    size  = optional(number, 1)
    label = optional(string)
    tags  = optional(map(string), { made = "here" })
  })
  default = {}
}

resource "terraform_data" "this" {
  input = "${var.name}/${var.options.size}"
}

output "full" {
  value = "full-${var.name}"
}

output "options" {
  value = var.options
}

output "path" {
  value = path.module
}
