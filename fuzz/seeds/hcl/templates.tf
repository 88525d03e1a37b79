locals {
  plain     = "plain"
  empty     = ""
  escaped   = "tab\tquote\"backslash\\newline\nreturn\runicode\u00e9\U0001F600"
  lone      = "${var.a}"
  mixed     = "a${var.a}b${var.b}c"
  nested    = "${join(",", [for x in var.list : "${x}-${upper("y")}"])}"
  literal   = "$${not} %%{this} costs $5 or 5% $$"
  condition = "%{ if var.a != "" }${var.a}%{ else }none%{ endif }!"
  loop      = "%{ for k, v in var.map }${k}=${v},%{ endfor }"
  stripped  = "  ${~ var.a ~}  ${~ var.b ~}  "
  lines = "${
    var.a
  }"

  heredoc = <<EOT
first
  second ${var.a}
EOT

  indented = <<-EOT
    first

      second ${var.a}
    third
    EOT

  argument = trimspace(<<-EOT
    text
  EOT
  )

  größe = { ключ = "値" }
}
