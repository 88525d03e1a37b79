locals {
  list   = [{ a = { b = 1 }, c = [10, 11] }, { a = { b = 2 }, c = [20] }]
  single = { a = { b = 3 } }
  none   = null
  map    = { x = { v = 1 }, y = { v = 2 } }
}

output "full" { value = local.list[*].a.b }
output "index" { value = local.list[*].c[0] }
output "attribute_only" { value = local.list.*.a.b }
output "of_single" { value = local.single[*].a.b }
output "of_null" { value = local.none[*] }
output "nested" { value = local.list[*].c[*] }
output "flattened" { value = flatten(local.list[*].c) }
output "values" { value = values(local.map)[*].v }
output "legacy_index" { value = local.list.0.a.b }
output "dynamic_index" { value = [for i in [1, 0] : local.list[i].a["b"]] }
output "map_index" { value = [local.map["x"].v, local.map.y["v"]] }
output "one" { value = [one([]), one(["x"]), try(local.none.a, "fallback"), can(local.list[5])] }
