*** Settings ***
Library    JumpstarterLibrary


*** Test Cases ***
Info Needs An Exporter
    Get Exporter Info

Two Exporters Are One Too Many
    Connect To Exporter    exporter=lab    host=localhost:1234

A Lease Needs A Controller
    Connect To Exporter    duration=10 min

An Unknown Exporter Is Named
    Connect To Exporter    exporter=lba

Nothing Listens There
    Connect To Exporter    host=/nonexistent/socket
