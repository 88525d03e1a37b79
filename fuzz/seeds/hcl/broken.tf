a {
  b = [
    1,
    2
  c = 2
}
d {
  e = <<EOT
${f:-g}
EOT
