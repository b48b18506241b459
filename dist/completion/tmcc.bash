# Completion of tmcc for bash. Made from tmcc/options; see its test.
_tmcc() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	COMPREPLY=()
	case $before in
	-l | -k | -f | -x | -proxy | -o) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
	-s | -p | -t | -n | -v | -X) return ;;
	esac
	case $word in
	-*) COMPREPLY=($(compgen -W '-s -p -l -D -u -i -T -t -n -k -v -f -b -c -x -proxy -X -o -d -json -help -version' -- "$word")) ;;
	*) COMPREPLY=($(compgen -W 'bossinfo reboot nodeid nodeuuid manifest status ifconfig accounts delay bridges linkdelay hostnames rpms deltas tarballs blobs startupcmd startstatus startstat readycount ready storageconfig mounts sfshostid loadinfo reset routing trafgens nseconfigs creator state tunnels vnodelist subnodelist isalive ipodinfo ntpinfo ntpdrift jailconfig plabconfig subconfig sdparams programs syncserver keyhash eventkey fullconfig routelist role rusage watchdoginfo hostkeys tmcctest firewallinfo hostinfo emulabconfig eplabconfig localization rootpswd booterrno bootlog battery topomap userenv tiptunnels traceinfo ltmap ltpmap elvindport plabeventkeys intfcmap motelog portregister bootwhat tpmblob tpmpubkey tpmdummy dhcpdconf securestate quoteprep imagekey nodeattributes disks arpinfo hwinfo tiplineinfo imageinfo imagesize pnetnodeattrs serviceinfo geni_client_id geni_slice_urn geni_slice_email geni_user_urn geni_user_email geni_geni_user geni_manifest geni_certificate geni_key geni_control_mac geni_version geni_getversion geni_sliverstatus geni_status geni_commands geni_all geni_param geni_invalid' -- "$word")) ;;
	esac
}
complete -F _tmcc tmcc
