module raddle/peers

go 1.27
