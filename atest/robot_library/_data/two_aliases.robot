*** Settings ***
Library     JumpstarterLibrary    AS    dut
Library     JumpstarterLibrary    AS    same
Library     JumpstarterLibrary    timeout=5 s    AS    peer
Resource    power.resource


*** Test Cases ***
Two Names Of One Board
    dut.Connect To Exporter    exporter=lab
    dut.Power On
    same.Power Off

Two Boards
    peer.Connect To Exporter    config=${EXPORTERS}/board.yaml
    peer.Power On
    peer.Serial Read Until    boot complete
    dut.Power On
    peer.Power Off
