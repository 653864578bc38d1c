# bash completion for udsctl(1), udsd(8) and udsc(1)

_udsctl_ask() { # the output of udsctl, for the supervisor that the command line names
	local i socket=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) socket=(-s "${COMP_WORDS[i + 1]}") ;;
		-s?*) socket=(-s "${COMP_WORDS[i]#-s}") ;;
		esac
	done
	"${COMP_WORDS[0]}" "${socket[@]}" "$@" 2>/dev/null
}

_udsctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
	local i command= place=0 help=$("${COMP_WORDS[0]}" --help 2>/dev/null)
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) i=$((i + 1)) ;;
		-*) ;;
		*)
			[ -n "$command" ] || command=${COMP_WORDS[i]}
			place=$((place + 1))
			;;
		esac
	done
	COMPREPLY=()
	case $previous:$cur in
	-s:* | --socket:*)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	*:-*) words=$(awk '/^  -/ { sub("=.*", "", $2); print $2 }' <<<"$help") ;;
	*:*)
		# The lines of the help: a command and its arguments.
		words=$(awk -v command="$command" -v place=$((place + 1)) \
			'/^  [a-z]/ && (command == "" || $1 == command) { print $place }' <<<"$help")
		case $place:$words in
		0:*) ;;
		*:SERVICE | *:\[SERVICE])
			words=$(_udsctl_ask status | awk 'NR > 1 { print $1 }')
			;;
		*:\[COMMAND])
			words=$(awk '/^  [a-z]/ { print $1 }' <<<"$help")
			;;
		*:CONN) words=$(_udsctl_ask list "$previous" | awk 'NR > 1 { print $2 }') ;;
		*) words= ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

# the service options of udsd.conf(5) but socket and handler; a test compares them
_udsd_options='enabled= type= wait= socket-owner= socket-group= socket-mode= directory-mode=
	backlog= user= group= supplementary-groups= directory= umask= nice= environment=
	pass-environment= no-new-privileges= limit-nofile= limit-nproc= limit-as= limit-cpu=
	limit-core= limit-fsize= stderr= pass-fds= allow= deny= max-connections=
	max-connections-per-user= rate= overflow= reject-message= max-lifetime= kill-grace=
	idle-timeout= worker-idle= log-level='

_udsd() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	case $previous:$cur in
	-l:* | --log-level:*)
		COMPREPLY=($(compgen -W 'error warning notice info debug' -- "$cur"))
		;;
	-o:* | --option:*)
		compopt -o nospace 2>/dev/null
		COMPREPLY=($(compgen -W "$_udsd_options" -- "$cur"))
		;;
	*:-*)
		COMPREPLY=($(compgen -W '--config --foreground --syslog --test --pid-file
			--log-level --option --help --version' -- "$cur"))
		;;
	*) COMPREPLY=($(compgen -f -- "$cur")) ;;
	esac
}

_udsc() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	case $previous:$cur in
	-t:* | --type:*) COMPREPLY=($(compgen -W 'stream seqpacket' -- "$cur")) ;;
	*:-*) COMPREPLY=($(compgen -W '--verbose --wait --type --help --version' -- "$cur")) ;;
	*) COMPREPLY=($(compgen -f -- "$cur")) ;;
	esac
}

complete -F _udsctl udsctl
complete -o filenames -F _udsd udsd
complete -o filenames -F _udsc udsc
