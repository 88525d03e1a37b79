variable "strings" {
  type    = list(string)
  default = [1, true, "x"]
}

variable "set" {
  type    = set(number)
  default = ["3", 1, 2, 1]
}

variable "map" {
  type    = map(string)
  default = { a = 1, b = false }
}

variable "tuple" {
  type    = tuple([string, number, bool])
  default = [1, "2", "true"]
}

variable "object" {
  type = object({
    name  = string
    count = optional(number, 7)
    inner = optional(object({
      flag = optional(bool, true)
      list = optional(list(string), ["d"])
    }), {})
    missing = optional(string)
  })
  default = { name = 5, extra = "dropped" }
}

variable "nested" {
  type    = map(object({ ports = optional(list(number), [80]), open = optional(bool) }))
  default = { a = {}, b = { ports = ["443"], open = "true" } }
}

variable "nullable" {
  type     = string
  default  = "fallback"
  nullable = false
}

variable "any" {
  type    = any
  default = { a = [1, "b"] }
}

variable "list_of_any" {
  type    = list(any)
  default = [1, "b", true]
}

output "strings" { value = var.strings }
output "set" { value = var.set }
output "map" { value = var.map }
output "tuple" { value = var.tuple }
output "object" { value = var.object }
output "nested" { value = var.nested }
output "nullable" { value = var.nullable }
output "any" { value = var.any }
output "list_of_any" { value = var.list_of_any }
output "conversions" { value = [tostring(1.50), tonumber("0x1F" == "" ? "0" : "31"), tobool("true"), tolist(["a", 1]), tomap({ a = 1, b = "x" }), toset(["b", "a", "b"])] }
