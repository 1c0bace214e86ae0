module fitout.dev/oracle/template

go 1.26
