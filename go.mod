module github.com/mw-go/mw

go 1.26
