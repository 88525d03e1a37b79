variable "from_default" { default = "default" }
variable "from_file" { default = "default" }
variable "from_auto" { default = "default" }
variable "from_json" { default = [] }
variable "typed" {
  type = map(number)
}

output "all" { value = [var.from_default, var.from_file, var.from_auto, var.from_json, var.typed] }
