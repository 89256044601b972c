"""What every Kelola service stands on. It holds no word of finance, people or goods."""

import warnings

# nameko imports eventlet, whose hub we never run (chassis.container); its notice would stand before every output.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
