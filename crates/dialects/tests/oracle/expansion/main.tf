variable "regions" {
  default = {
    eu = { name = "frankfurt", zones = ["a", "b"] }
    us = { name = "oregon", zones = ["c"] }
  }
}

resource "terraform_data" "single" {
  input = "one"
}

resource "terraform_data" "counted" {
  count = 3
  input = { index = count.index, text = "n${count.index + 1}" }
}

resource "terraform_data" "none" {
  count = 0
  input = "never"
}

resource "terraform_data" "conditional" {
  count = length(var.regions) > 1 ? 1 : 0
  input = true
}

resource "terraform_data" "keyed" {
  for_each = var.regions
  input    = "${each.key}: ${each.value.name} ${join(",", each.value.zones)}"
}

resource "terraform_data" "set" {
  for_each = toset(["x", "y/z", "with \"quotes\""])
  input    = [each.key, each.value]
}

resource "terraform_data" "flattened" {
  for_each = { for pair in flatten([for key, region in var.regions : [for zone in region.zones : { key = key, zone = zone }]]) : "${pair.key}-${pair.zone}" => pair }
  input    = each.value
}

resource "terraform_data" "chained" {
  for_each = terraform_data.keyed
  input    = "${each.key} after ${each.value.input}"
}

output "counted" { value = terraform_data.counted[*].input.text }
output "counted_one" { value = terraform_data.counted[1].input }
output "keyed" { value = { for key, instance in terraform_data.keyed : key => instance.input } }
output "keyed_one" { value = terraform_data.keyed["eu"].input }
output "values" { value = values(terraform_data.keyed)[*].input }
output "none" { value = terraform_data.none[*].input }
output "conditional" { value = one(terraform_data.conditional[*].input) }
output "length" { value = [length(terraform_data.counted), length(terraform_data.keyed), length(terraform_data.none)] }
output "try_missing" { value = try(terraform_data.none[0].input, "nothing") }
