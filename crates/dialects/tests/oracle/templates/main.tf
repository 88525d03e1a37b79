locals {
  name  = "World"
  items = ["a", "b"]
  map   = { k1 = "v1", k2 = "v2" }
}

output "plain" { value = "Hello, ${local.name}!" }
output "number" { value = "${1}-${1.50}-${true}" }
output "only" { value = "${local.items}" }
output "escapes" { value = "a\tb\n\"q\" \\ \u00e9 \U0001F600 $${x} %%{y}" }
output "if" { value = "%{if local.name == "World"}yes%{else}no%{endif}" }
output "if_without_else" { value = "[%{if false}x%{endif}]" }
output "for" { value = "%{for item in local.items}<${item}>%{endfor}" }
output "for_two" { value = "%{for key, value in local.map}${key}=${value};%{endfor}" }
output "strip" { value = "a  ${~ "b" ~}  c" }
output "heredoc" {
  value = <<EOT
first ${local.name}
  second
EOT
}
output "indented" {
  value = <<-EOT
    first
      second ${local.name}
    third
  EOT
}
output "directives" {
  value = <<-EOT
    %{for item in local.items~}
    - ${item}
    %{endfor~}
    end
  EOT
}
output "nested_quotes" { value = "${join(", ", [for item in local.items : "<${upper("${item}x")}>"])}" }
output "file" { value = templatefile("${path.module}/greeting.tftpl", { name = "Ann", roles = ["x", "y"] }) }
output "json" { value = jsonencode({ b = [1, 2.5, null], a = "<&>", nested = { t = true } }) }
output "yaml" { value = yamlencode({ a = [1, "two", { b = null }], text = "line\nline", empty = [], s = "true" }) }
output "decoded" { value = [jsondecode("{\"a\": [1, \"x\"]}"), yamldecode("a: 1\nb: [x, true]\n")] }
