*** Settings ***
Library        JumpstarterLibrary

Suite Setup    Connect To Exporter    host=%{JUMPSTARTER_HOST}


*** Test Cases ***
Power On At An Address
    Power On
    Connect To Exporter
    Power Off
