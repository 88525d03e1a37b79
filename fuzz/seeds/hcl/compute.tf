resource "aws_instance" "web" {
  for_each = toset(["a", "b"])

  ami           = data.aws_ami.this.id
  instance_type = each.key == "a" ? "t3.small" : "t3.${var.sizes[each.key]}"
  user_data     = <<-EOT
    #!/bin/bash
    set -euo pipefail
    name="${each.key}"   # 100% of it
    %{ for package in var.packages ~}
    apt-get install -y ${package}
    %{ endfor ~}
    %{ if var.debug }set -x%{ else }set +x%{ endif }
    echo "$${HOME} is %%{home}" > "/tmp/$name.$$"
  EOT

  root_block_device {
    encrypted   = true
    volume_size = 20
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

resource "aws_iam_policy" "web" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket"],
        Resource = [for bucket in var.buckets : "arn:aws:s3:::${bucket}/*"]
      },
    ]
  })
}

resource "aws_iam_role" "web" {
  assume_role_policy = <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}
POLICY
  max_session_duration = 3600
}

moved {
  from = aws_instance.old["a"]
  to   = aws_instance.web["a"]
}

check "health" {
  data "http" "site" {
    url = "https://example.com"
  }
  assert {
    condition     = data.http.site.status_code == 200
    error_message = "${data.http.site.url} returned ${data.http.site.status_code}"
  }
}
